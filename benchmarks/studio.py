"""How long a person waits for the web studio, in Debian's Chromium with `limner serve`, both on this machine.

    python benchmarks/studio.py --json studio.json

For an image of the starter: seconds from the click on Create to the first preview and to the image, for the first job
of the service ("cold") and the median of later ones ("warm"). For each page: bytes that a first visit transfers,
without images. The studio has nothing stored but these images.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from figures import machine, print_table, write_json
from limner.web.rendering import NAVIGATION
from service import service

CHROMIUM = "/usr/bin/chromium"
PAGES = {name: path for _, path, name in NAVIGATION} | {"Pets": "/create/pets", "Marketing": "/create/marketing"}
TIMES = """() => new Promise(resolve => {
  const found = {}, began = performance.now(), card = () => document.querySelector("#results article");
  const before = card()?.id;
  const look = () => {
    const newest = card();
    if (newest && newest.id !== before) {
      if (!found.preview && newest.querySelector("img")) found.preview = (performance.now() - began) / 1000;
      if (newest.dataset.status === "done" && newest.querySelector(".result img")?.complete) {
        found.image = (performance.now() - began) / 1000;
        return resolve(found);
      }
    }
    setTimeout(look, 10);
  };
  document.querySelector("#create-submit").click();
  look();
})"""


def clicks(browser: Browser, address: str, rounds: int) -> list[dict[str, float]]:
    """Seconds to the first preview and to the image, for each of several images."""
    page = browser.new_page(base_url=address)
    page.goto("/create")
    found = []
    for number in range(rounds):
        page.locator("#create-prompt").fill(f"a photo of a cat, take {number}")
        found.append(page.evaluate(TIMES))
    page.close()
    return found


def first_visit(browser: Browser, address: str, path: str) -> int:
    """Bytes that a page transfers to an empty cache, without images."""
    context = browser.new_context(base_url=address)
    page, total = context.new_page(), 0
    session = context.new_cdp_session(page)
    kinds: dict[str, str] = {}

    def finished(event: dict) -> None:
        nonlocal total
        if kinds.get(event["requestId"]) != "Image":
            total += int(event["encodedDataLength"])

    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    page.goto(path)
    page.wait_for_timeout(1000)  # a stream of events never ends, so that the network is never idle
    context.close()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="images (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cold, *warm = clicks(browser, address, options.rounds)
        sizes = {name: first_visit(browser, address, path) for name, path in PAGES.items()}
        browser.close()
    median = {name: statistics.median(each[name] for each in warm) for name in ("preview", "image")}
    rows = [(name, f"{cold[name]:.1f}", f"{median[name]:.1f}") for name in median]
    print_table(("seconds from the click to the", "cold", "warm, median"), rows)
    print_table(("first visit without images", "kB"), [(name, f"{size / 1000:.0f}") for name, size in sizes.items()])
    write_json(options.json, {"machine": machine(), "cold": cold, "warm": warm, "bytes": sizes})


if __name__ == "__main__":
    main()

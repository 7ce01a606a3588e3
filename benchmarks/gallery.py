"""The gallery of the web studio with many images: its first screen, scrolling, memory of the browser, and bytes.

    python benchmarks/gallery.py --json gallery.json

It fills a temporary LIMNER_HOME with rows and thumbnails of invented images, serves it with `limner serve`, and opens
the gallery in Chromium, which has to be installed. A tile in the mean colour of its image is not blank.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image
from sqlalchemy import insert

from figures import machine, print_table, write_json
from limner.core.events import ArtifactKind
from limner.core.feedback import ImageQuery
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.imaging.thumbnails import SIDES, mean_colour, thumbnail
from limner.store.tables import ArtifactRow, ImageIndexRow, RunRow
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from service import service

PER_RUN, LOOKS = 4, 64
"""Images of a run, and different thumbnails."""
PETS = {"cat": ("tabby", "siamese", "persian"), "dog": ("corgi", "beagle", "poodle")}
BACKGROUNDS = ("in the park", "on the beach", "in a forest", "on a sofa", "in the snow")
STYLES = ("photo", "watercolour", "pencil")
SPEEDS = (2000, 5000, 8000, 20_000)
SEEN = {"blank": "longest blank", "slowest": "slowest frame"}
SCREEN = """const watch = () => {
    const shown = [...document.querySelectorAll('.cell img')].filter(each => {
        const box = each.getBoundingClientRect();
        return box.bottom > 0 && box.top < innerHeight && box.width > 0;
    });
    const all = shown.length > 20 && shown.every(each => each.complete && each.naturalWidth);
    if (all) window.screenAt ??= performance.now();
    else requestAnimationFrame(watch);
};
requestAnimationFrame(watch);"""
"""Records when all images of the first screen are there."""
SCREEN_AT = """() => new Promise(resolve => {
    const look = () => window.screenAt ? resolve(window.screenAt) : requestAnimationFrame(look);
    look();
})"""
SCROLL = """async ([speed, seconds]) => {
    const gallery = document.querySelector('virtual-gallery');
    const found = { frames: 0, blank: 0, slowest: 0 };
    let blankAt = null, before = performance.now();
    const end = before + 1000 * seconds;
    while (before < end) {
        const now = await new Promise(requestAnimationFrame);
        scrollBy(0, speed * (now - before) / 1000);
        found.slowest = Math.max(found.slowest, now - before);
        before = now;
        const top = scrollY - gallery.top();
        const first = Math.max(0, Math.floor(top / gallery.step));
        const last = Math.min(gallery.rows - 1, Math.floor((top + innerHeight) / gallery.step));
        const wanted = Math.min(gallery.ids.length, (last + 1) * gallery.columns) - first * gallery.columns;
        const coloured = [...document.querySelectorAll('.virtual .cell')].filter(each => {
            const row = Math.floor(each.place / gallery.columns);
            const box = each.getBoundingClientRect();
            return each.style.backgroundColor && box.bottom > 0 && box.top < innerHeight && row >= first && row <= last;
        }).length;
        found.frames += 1;
        if (coloured >= wanted - gallery.columns) blankAt = null;  // a row that begins in the gap below the window
        else { blankAt ??= now; found.blank = Math.max(found.blank, now - blankAt + 1); }
    }
    return found;
}"""
"""Scrolls at a speed in pixels per second. blank, slowest: longest time with a blank tile, longest frame, in ms."""


def fill(studio: Studio, count: int) -> None:
    """Insert the rows of runs and images, and give each image one of LOOKS thumbnails."""
    looks = [Image.radial_gradient("L").resize((160, 160)).convert("RGB") for _ in range(LOOKS)]
    stored, small = list[Path](), list[Path]()
    for number, look in enumerate(looks):
        look.paste(Image.new("RGB", (160, 90), f"hsl({number * 360 // LOOKS}, 60%, 50%)"), (0, 70))
        look.save(studio.home / f"{number}.png")
        sha256 = studio.files.save(studio.home / f"{number}.png").removeprefix("sha256:")
        stored.append(studio.files.path(sha256))
        small.append(studio.files.thumbnail_path(sha256, SIDES[0]))
        small[-1].parent.mkdir(parents=True, exist_ok=True)
        small[-1].write_bytes(thumbnail(look, SIDES[0]))
    colours = [mean_colour(look) for look in looks]
    made = [run_of(number, count // PER_RUN + 1) for number in range(count // PER_RUN + 1)]
    artifacts, images = [], []
    for number in range(1, count + 1):
        run = made[number // PER_RUN]
        sha256 = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
        shared = {"id": number, "run": run["id"], "created": run["created"] + timedelta(seconds=number % PER_RUN)}
        details = {"seed": number, "width": 512, "height": 512, "reference": f"sha256:{sha256}"}
        reference = {"kind": ArtifactKind.IMAGE, "path": f"/{number}.png", "reference": f"sha256:{sha256}"}
        artifacts.append({**shared, **reference, "sha256": sha256, "details": details})
        request, style = run["request"], run["tags"].get("style")
        words = {"words": request["prompt"], "negative": "", "prompt_hash": "0" * 64, "style": style}
        own = {"owner": "", "queue": QUEUE, "model": request["model"], "width": 512, "height": 512}
        images.append({**shared, **words, **own, "colour": colours[number % LOOKS]})
        link(stored[number % LOOKS], sha256)
        link(small[number % LOOKS], sha256)
    with studio.store.session() as session:
        session.execute(insert(RunRow), made)
        session.execute(insert(ArtifactRow), artifacts)
        session.execute(insert(ImageIndexRow), images)


def link(file: Path, sha256: str) -> None:
    """Give a file that is named by its hash the name of another hash too."""
    place = file.parent.parent / sha256[:2] / file.name.replace(file.name[:64], sha256)
    place.parent.mkdir(exist_ok=True)
    os.link(file, place)


def run_of(number: int, count: int) -> dict[str, Any]:
    """The row of a run that is done; each second one is of a pet, with its choices as tags."""
    species = ("cat", "dog")[number // 2 % 2]
    choices = {
        "species": species,
        "breed": PETS[species][number // 4 % 3],
        "background": BACKGROUNDS[number // 12 % 5],
        "style": STYLES[number // 60 % 3],
    }
    pet = number % 2 == 0
    prompt = f"a {choices['breed']} {species} {choices['background']}" if pet else f"a red mug, draft {number}"
    request = GenerateRequest(prompt=prompt, model=("starter", "sdxl")[number % 3 == 0], count=PER_RUN)
    made = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=20 * number)
    return {
        "id": f"{number:012x}",
        "kind": "generate",
        "request": request.model_dump(mode="json"),
        "digest": f"{number:064x}",
        "status": Status.DONE,
        "created": made,
        "started": made,
        "finished": made,
        "queue": QUEUE,
        "tags": choices if pet else {},
    }


def private_megabytes(browser: Any) -> float:
    """Memory of the largest renderer that it shares with no other process."""
    session = browser.new_browser_cdp_session()
    sizes = []
    for each in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        if each["type"] == "renderer":
            lines = Path(f"/proc/{each['id']}/smaps_rollup").read_text().splitlines()
            sizes.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024)
    return max(sizes)


def first_screens(browser: Any, address: str, rounds: int) -> dict[str, float]:
    """Median time to the first screen of a first visit, and the bytes that it transfers until two seconds later."""
    times, sizes = [], []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        received: list[float] = []
        session.on("Network.loadingFinished", lambda event, to=received: to.append(event["encodedDataLength"]))
        page.add_init_script(SCREEN)
        page.goto(f"{address}/gallery")
        times.append(page.evaluate(SCREEN_AT))
        page.wait_for_timeout(2000)
        sizes.append(sum(received) / 1e3)
        context.close()
    return {"first screen, ms": median(times), "slowest, ms": max(times), "first visit, kB": median(sizes)}


def scrolling(browser: Any, address: str, seconds: float) -> dict[str, Any]:
    """Longest blank by speed, and memory of the renderer before and after its image cache was released."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/gallery")
    page.locator("virtual-gallery[data-ready]").wait_for()
    found: dict[str, Any] = {}
    for speed in SPEEDS:
        seen = page.evaluate(SCROLL, [speed, seconds])
        found |= {f"{name} at {speed} px/s, ms": seen[key] for key, name in SEEN.items()}
    page.evaluate(SCROLL, [3000, 5 * seconds])
    found["renderer, MB"] = private_megabytes(browser)
    context.new_cdp_session(page).send("Memory.simulatePressureNotification", {"level": "critical"})
    page.wait_for_timeout(1500)
    found["renderer without its image cache, MB"] = private_megabytes(browser)
    context.close()
    return found


def parts(studio: Studio, rounds: int) -> dict[str, float]:
    """Median milliseconds of what the server does for the first screen."""
    view, query = Viewer("", None, stored=True), ImageQuery()
    ids = studio.images.ids(view, query, 0, 61)
    asked = {
        "ids of a page": lambda: studio.images.ids(view, query, 0, 61),
        "images of a page": lambda: studio.images.some(view, ids),
        "facets": lambda: studio.images.facets(view, query),
        "all ids and colours": lambda: studio.images.colours(view, query),
    }
    found = {}
    for name, ask in asked.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            ask()
            times.append(1000 * (time.perf_counter() - began))
        found[f"{name}, ms"] = median(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="number of images")
    parser.add_argument("--rounds", type=int, default=5, help="first visits; the median counts")
    parser.add_argument("--seconds", type=float, default=3, help="of scrolling at each speed")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        fill(studio, options.count)
        figures: dict[str, Any] = {"images": options.count, "load": os.getloadavg()[0], **parts(studio, options.rounds)}
        studio.close()
        with service(Path(folder)) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=options.chromium)
            figures |= first_screens(browser, address, options.rounds)
            figures |= scrolling(browser, address, options.seconds)
            browser.close()
    print_table(("figure", "value"), [(name, f"{value:,.1f}") for name, value in figures.items()])
    if options.json:
        write_json(options.json, {"machine": machine(), **figures})


if __name__ == "__main__":
    main()

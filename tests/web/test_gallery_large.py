"""A gallery of 100,000 images: how soon its first screen is there, scrolling without gaps, and memory."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import insert

from browsing import opened
from gallery import add_run
from limner.core.events import ArtifactKind
from limner.core.requests import GenerateRequest
from limner.imaging.thumbnails import SIDES, mean_colour, thumbnail
from limner.store.tables import ArtifactRow, ImageIndexRow
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

COUNT, RUNS, LOOKS = 100_000, 200, 64
LONGEST_GAP = 200
MEGABYTES = 300
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
SCROLL = """async ([speed, seconds]) => {
    const gallery = document.querySelector('virtual-gallery');
    const found = { frames: 0, gap: 0, empty: 0, slowest: 0 };
    let gapAt = null, before = performance.now();
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
        if (coloured >= wanted - gallery.columns) gapAt = null;  // a row that begins within the gap below the window
        else { gapAt ??= now; found.gap = Math.max(found.gap, now - gapAt + 1); found.empty += wanted - coloured; }
    }
    return found;
}"""
UNTIL = """() => new Promise(resolve => {
    const look = () => (DONE) ? resolve() : requestAnimationFrame(look);
    look();
})"""
SETTLED = """[...document.querySelectorAll('.virtual .cell:not([hidden]) img')].filter(each => {
    const box = each.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
}).every(each => each.src && each.complete && each.naturalWidth)"""


def fill(studio: Studio) -> None:
    """Insert the rows, and give each image one of LOOKS thumbnails."""
    looks = [Image.radial_gradient("L").resize((160, 160)).convert("RGB") for _ in range(LOOKS)]
    for number, look in enumerate(looks):
        look.paste(Image.new("RGB", (160, 90), f"hsl({number * 360 // LOOKS}, 60%, 50%)"), (0, 70))
    files = [studio.files.thumbnail_path(f"{number:064x}", 1).with_suffix(".look") for number in range(LOOKS)]
    for place, look in zip(files, looks, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(thumbnail(look, SIDES[0]))
    colours = [mean_colour(look) for look in looks]
    runs = [add_run(studio, GenerateRequest(prompt=f"a cat number {n}")).id for n in range(RUNS)]
    began = datetime(2025, 1, 1, tzinfo=UTC)
    artifacts, images = [], []
    for number in range(1, COUNT + 1):
        sha256, run = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4, runs[number % RUNS]
        made = began + timedelta(minutes=5 * number)
        shared = {"id": number, "run": run, "created": made}
        details = {"seed": number, "width": 512, "height": 512, "reference": f"sha256:{sha256}"}
        reference = {"kind": ArtifactKind.IMAGE, "path": f"/{number}.png", "reference": f"sha256:{sha256}"}
        artifacts.append({**shared, **reference, "sha256": sha256, "details": details})
        words = {"words": f"a cat number {number % RUNS}", "negative": "", "prompt_hash": "0" * 64}
        own = {"owner": "", "queue": QUEUE, "model": ("starter", "sdxl")[number % 2], "width": 512, "height": 512}
        images.append({**shared, **words, **own, "colour": colours[number % LOOKS]})
        place = studio.files.thumbnail_path(sha256, SIDES[0])
        place.parent.mkdir(exist_ok=True)
        os.link(files[number % LOOKS], place)
    with studio.store.session() as session:
        session.execute(insert(ArtifactRow), artifacts)
        session.execute(insert(ImageIndexRow), images)


def private_megabytes(browser) -> float:
    """Memory of the largest renderer that it shares with no other process."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = []
    for each in processes:
        if each["type"] == "renderer":
            lines = Path(f"/proc/{each['id']}/smaps_rollup").read_text().splitlines()
            sizes.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024)
    return max(sizes)


@pytest.mark.slow
def test_a_hundred_thousand_images(served, browser, home, capsys):
    studio = Studio(home)
    fill(studio)
    studio.close()
    for path in ("/gallery", "/gallery/ids"):
        began = time.monotonic()
        assert served.call("GET", path, Accept="text/html").status == 200
        with capsys.disabled():
            print(f"\n{path}: {1000 * (time.monotonic() - began):.0f} ms")
    with opened(browser, served.call.address) as page:
        page.add_init_script(SCREEN)
        page.goto("/gallery")
        page.evaluate(UNTIL.replace("DONE", "window.screenAt"))
        first = page.evaluate("window.screenAt")
        page.locator("virtual-gallery[data-ready]").wait_for()
        assert page.locator(".cell").first.get_attribute("aria-setsize") == str(COUNT)
        nodes = page.evaluate("document.querySelectorAll('virtual-gallery *').length")
        assert nodes < 3000, nodes
        lines = [f"first screen {first:.0f} ms; {nodes} elements in the gallery"]
        for speed in (2000, 5000, 8000, 20_000):
            found = page.evaluate(SCROLL, [speed, 3])
            lines.append(f"{speed} px/s: {found}")
            assert found["gap"] <= LONGEST_GAP and found["frames"] > 20, lines
        for part in (0.6, 0.1, 1.0, 0.0):
            began = time.monotonic()
            page.evaluate("part => scrollTo(0, part * document.documentElement.scrollHeight)", part)
            page.evaluate(UNTIL.replace("DONE", SETTLED))
            lines.append(f"jump to {part:.0%}: {1000 * (time.monotonic() - began):.0f} ms until all images are there")
        for _ in range(3):
            page.evaluate(SCROLL, [3000, 5])
        before = private_megabytes(browser)
        session = page.context.new_cdp_session(page)
        session.send("Memory.simulatePressureNotification", {"level": "critical"})
        page.wait_for_timeout(1500)
        after = private_megabytes(browser)
        lines.append(f"renderer {before:.0f} MB, {after:.0f} MB after the image cache was released")
        with capsys.disabled():
            print("\n".join(lines))
        assert after < MEGABYTES

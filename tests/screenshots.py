"""Writes a screenshot of every page of the studio, at two widths, in light and dark.

    .venv/bin/python tests/screenshots.py docs/images/studio

It starts a server with a worker on an empty home, makes images and teaches the demo's character on the starter, and
takes the screenshots on the way. It takes five to ten minutes on two cores. SCENES lists the pages; the tests of pages
in a browser go through the same list.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import serving
from browsing import CHROMIUM
from improvements import recorded, vote_for
from limner.core.accounts import Caller
from limner.core.drafts import Draft
from limner.core.feedback import ImageQuery, Rating, Reason
from limner.core.promotions import ImprovementPlan
from limner.core.requests import AdapterUse, GenerateRequest
from limner.core.runs import Status
from limner.starter.demo import CHARACTER
from limner.starter.exam.tastes import right_marks, stars
from limner.starter.judge import Judge
from limner.store.queue import Queue
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from limner.web.rendering import NAVIGATION

WIDTHS = {1280: 900, 390: 844}
"""Widths of the window, with its height."""
TALLEST = 1500
"""Most pixels of a screenshot's height; what is below is left out."""
SCHEMES = ("light", "dark")
QUALITY = 60
PROMPTS = (
    "a photo of a corgi on the beach at sunset",
    "a photo of a siamese cat in the snow, at night",
    "a watercolour of a red mug on a wooden table",
    "a photo of a husky in the forest wearing a blue scarf",
    "a drawing of a tabby cat in the garden",
)
RATED_PLACES = {
    "pet food": ("on the beach", "in the garden", "in the snow", "in the forest", "in the city", "in the park"),
    "travel": ("at sunset", "at night", "on a rooftop", "on a boat", "in the mountains", "in the desert"),
}
"""Industries whose images are rated, and where the cat is on them."""
VOTES = 6
"""Votes that decide about an improvement."""
WAITING = ("a photo of a green teapot in the garden", "a photo of a beagle in the park, oil painting")
REQUEST_OF_FAILED = "a photo of a poodle in the city at night"
MEMORY = "the machine ran out of memory; choose a smaller size or fewer images at once"


class Stage(StrEnum):
    """When a screenshot is taken: while there is nothing, a draft, a training at work, and everything."""

    EMPTY = "empty"
    DRAFT = "draft"
    WORKING = "working"
    DONE = "done"
    GUARDED = "guarded"


@dataclass(frozen=True)
class Scene:
    """A page in a state. path: may name facts in braces, such as the draft's. prepare: done in the page before."""

    name: str
    path: str
    stage: Stage = Stage.DONE
    prepare: Callable[[Page], object] | None = None


def open_settings(page: Page) -> None:
    """Open the drawer of all settings of the page Create, and scroll to it."""
    page.locator("#create summary", has_text="All other settings").click()
    page.locator("#create-filter").scroll_into_view_if_needed()


Found = TypeVar("Found")
PLACES = {key: place for key, place, _ in NAVIGATION}
SCENES = (
    Scene("home-empty", PLACES["home"], Stage.EMPTY),
    Scene("home", PLACES["home"], Stage.WORKING),
    Scene("create", PLACES["create"] + "?{portrait}"),
    Scene("create-settings", PLACES["create"], prepare=open_settings),
    Scene("pets", "/create/pets"),
    Scene("marketing", "/create/marketing"),
    Scene("teach", PLACES["teach"]),
    Scene("teach-images", "{draft}/images", Stage.DRAFT),
    Scene("teach-crop", "{draft}/images/{photo}/crop", Stage.DRAFT),
    Scene("teach-subject", "{draft}/subject", Stage.DRAFT),
    Scene("teach-recipe", "{draft}/recipe", Stage.DRAFT),
    Scene("teach-train", "{draft}/train", Stage.DRAFT),
    Scene("teach-training", "{draft}/train", Stage.WORKING),
    Scene("teach-result", "{draft}/train"),
    Scene("gallery", PLACES["gallery"]),
    Scene("image", PLACES["gallery"] + "/{image}"),
    Scene("compare", PLACES["gallery"] + "/compare?id={image}&id={other}"),
    Scene("discover", PLACES["discover"] + "?q=corgi+on+the+beach"),
    Scene("feedback", PLACES["feedback"]),
    Scene("feedback-vote", PLACES["feedback"] + "/votes/{promotion}"),
    Scene("feedback-improve", PLACES["feedback"] + "/improve"),
    Scene("queue", PLACES["queue"], Stage.WORKING),
    Scene("run", "/runs/{training}", Stage.WORKING),
    Scene("run-failed", "/runs/{failed}"),
    Scene("library", PLACES["library"]),
    Scene("models", PLACES["library"] + "/models"),
    Scene("sign-in", "/sign-in", Stage.GUARDED),
    Scene("components", "/components", Stage.EMPTY),
)
"""Every page of the studio."""


@dataclass
class Taking:
    """Opens scenes at their stage. take: called with each scene in each width and scheme."""

    browser: Browser
    take: Callable[[Page, Scene, int, str], object]
    scenes: Sequence[Scene]

    def stage(self, address: str, stage: Stage, facts: dict[str, str]) -> None:
        """Take all scenes of a stage."""
        for width, height in WIDTHS.items():
            for scheme in SCHEMES:
                options = {"viewport": {"width": width, "height": height}, "has_touch": width < 600}
                with _page(self.browser, address, color_scheme=scheme, **options) as page:
                    for scene in self.scenes:
                        if scene.stage is stage:
                            page.goto(scene.path.format(**facts))
                            if scene.prepare is not None:
                                scene.prepare(page)
                            self.take(page, scene, width, scheme)


@contextmanager
def _page(browser: Browser, address: str, **options) -> Iterator[Page]:
    context = browser.new_context(base_url=address, reduced_motion="reduce", **options)
    try:
        yield context.new_page()
    finally:
        context.close()


def visit(
    taking: Taking,
    folder: Path,
    feedback: Callable[[Studio, str], str],
    settings: dict[str, str] | None = None,
) -> None:
    """Go through all stages with a server of its own, whose data is in the folder.

    feedback: gives feedback on images of an adapter; returns the id of an improvement that waits for votes. settings:
    of the training, where they differ from those of the example.
    """
    (folder / "guarded").mkdir()
    serving.key_of(folder / "guarded", "admin", "--role", "admin")
    with serving.service(folder / "guarded", workers=0, accounts=True) as guarded:
        taking.stage(guarded.call.address, Stage.GUARDED, {})
    home = folder / "home"
    home.mkdir()
    with serving.service(home, workers=0) as empty:
        taking.stage(empty.call.address, Stage.EMPTY, {})
    with serving.program(home) as running, closing(Studio(home)) as studio:
        address = running.call.address
        facts = _make_images(running.call)
        with _page(taking.browser, address) as page:
            _fill_in_forms(page)
            page.goto("/teach")
            page.get_by_role("button", name="Try with a drawn cat").click()
            page.wait_for_url("**/images")
            facts["draft"] = page.evaluate("location.pathname").removesuffix("/images")
            photo = page.locator("#photos article").first.get_attribute("id") or ""
            facts["photo"] = photo.removeprefix("image-")
            _change_settings(studio, facts["draft"].rpartition("/")[2], settings or {})
            taking.stage(address, Stage.DRAFT, facts)
            page.goto(f"{facts['draft']}/train")
            page.get_by_role("button", name="Start training").click()
            facts["training"] = _training_at_work(studio)
            facts["failed"] = _failed_job(studio)
            for prompt in WAITING:
                running.call("POST", "/v1/runs", {"kind": "generate", "prompt": prompt, "count": 2})
            taking.stage(address, Stage.WORKING, facts)
            _wait(lambda: studio.runs.get(facts["training"]).status.ended)
        portraits = _portraits(studio, facts["training"])
        running.call("POST", "/v1/runs", portraits, timeout=300, Prefer="wait=300")
        facts["portrait"] = urlencode({name: portraits[name] for name in ("prompt", "adapter", "count")}, doseq=True)
        facts["promotion"] = feedback(studio, str(portraits["adapter"][0]))
        taking.stage(address, Stage.DONE, facts)


def _change_settings(studio: Studio, draft: str, settings: dict[str, str]) -> None:
    def change(before: Draft) -> Draft:
        return before.with_choices(fields={**before.choices.fields, **settings})

    studio.drafts.change("", draft, change)


def _failed_job(studio: Studio) -> str:
    """Let a job fail while the worker is busy, as where memory runs out; returns its id."""
    studio.enqueue(GenerateRequest(prompt=REQUEST_OF_FAILED, count=48))
    queue = Queue(studio.store)
    ((run, lease),) = queue.claim("screenshots")
    queue.finish(lease, Status.FAILED, MEMORY)
    return run.id


def _fill_in_forms(page: Page) -> None:
    """Create images with the forms of pets and of marketing."""
    for path, prompt in (("/create/pets", ""), ("/create/marketing", "a red mug on the beach")):
        page.goto(path)
        if prompt:
            page.get_by_label("Prompt", exact=True).fill(prompt)
        page.locator("main form button.primary", has_text="Create").click()
        page.locator("article[data-status=done]").first.wait_for(timeout=240_000)


def _make_images(call: serving.Client) -> dict[str, str]:
    """Generate images; returns the ids of two."""
    for prompt in PROMPTS:
        body = {"kind": "generate", "prompt": prompt, "count": 4, "seed": 7}
        answer = call("POST", "/v1/runs", body, timeout=300, Prefer="wait=300")
        assert answer.json["status"] == "done", answer.body
    ids = [str(each["id"]) for each in call("GET", "/v1/pictures?limit=8").json]
    return {"image": ids[0], "other": ids[4]}


def _portraits(studio: Studio, training: str) -> dict[str, Any]:
    """The fields of a request for images of the subject that was taught."""
    (adapter,) = studio.runs.artifacts(training, "adapter")
    prompt = "a photo of sks cat wearing a red scarf in the city"
    return {"kind": "generate", "prompt": prompt, "adapter": [adapter.details["reference"]], "count": 4, "seed": 3}


def learn_from_feedback(studio: Studio, adapter: str) -> str:
    """Improve the adapter twice for what a simulated rater likes: the right marks of the cat. One improvement is voted
    on, and the id of the other is returned.
    """
    use, taste, ids = AdapterUse(path=adapter), right_marks(CHARACTER), list[int]()
    for industry, places in RATED_PLACES.items():
        requests = [
            GenerateRequest(prompt=f"a photo of sks cat {place}", adapter=(use,), count=8, seed=11) for place in places
        ]
        runs = [studio.enqueue(request, tags={"industry": industry}) for request in requests]
        for run in runs:
            _wait(lambda run=run: studio.runs.get(run.id).status.ended)
        images = studio.images.list(Viewer(stored=True), ImageQuery(industry=industry, limit=100))
        files = [studio.files.local_path(str(each.reference)) for each in images]
        scores = taste.score(Judge.load().read(np.stack([np.asarray(Image.open(file)) for file in files])))
        for rater in range(3):
            for each, count in zip(images, stars(scores, 0.1, rater), strict=True):
                reasons = (Reason.WRONG_SUBJECT,) if count < 3 else ()
                studio.feedback.rate(
                    Viewer(account=f"rater{rater}"), each.id, Rating(stars=int(count), reasons=reasons)
                )
        started = studio.promotions.start(industry, False, [use], ImprovementPlan(after=10, votes=VOTES), "starter")
        assert started is not None and started.run is not None
        _wait(lambda run=started.run: studio.runs.get(run).status.ended, 1800)
        studio.promotions.follow()
        ids.append(started.id)
    promotion = studio.promotions.get(ids[0])
    for voter in ("ana", "ben", "cleo", "dan", "eve", "fay"):  # few prompts are held out, so each has few pairs
        pairs, missing = studio.promotions.pairs(promotion), VOTES - promotion.votes
        promotion = vote_for(studio, promotion, Caller(account=voter), "new", min(len(pairs), missing))
    assert promotion.votes == VOTES
    return str(ids[1])


def invent_feedback(studio: Studio, adapter: str) -> str:
    """Rate images of the subject, and record two improvements of it: one in use, and one that waits for votes, whose id
    is returned.
    """
    images = studio.images.list(Viewer(stored=True), ImageQuery(limit=40))
    portraits = [each for each in images if each.request.adapter]
    references = [str(each.reference) for each in (*portraits, *images)]
    for number, each in enumerate([*portraits, *images[:8]]):
        for rater in range(6):
            reasons = (Reason.WRONG_SUBJECT,) if (number + rater) % 5 == 0 else ()
            studio.feedback.rate(
                Viewer(account=f"rater{rater}"), each.id, Rating(stars=5 - (number + rater) % 3, reasons=reasons)
            )

    def image(studio: Studio, prompt: str, seed: int, version: str) -> str:
        return references[(seed + 3 * (version == "new")) % len(references)]

    use, prompts = AdapterUse(path=adapter), (PROMPTS[0], PROMPTS[3])
    decided = recorded(studio, "pet food", use, image, prompts=prompts)
    vote_for(studio, decided, Caller(account="admin"), "new", 6)
    return str(recorded(studio, "travel", use, image, prompts=prompts).id)


def _training_at_work(studio: Studio) -> str:
    """The id of the training, once it has made a preview."""

    def at_work() -> str:
        runs = studio.runs.list(kind="train", status=Status.RUNNING)
        return next((run.id for run in runs if studio.runs.artifacts(run.id, "preview")), "")

    return _wait(at_work)


def _wait(found: Callable[[], Found], seconds: float = 600) -> Found:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.5)
    raise TimeoutError(f"nothing happened in {seconds:.0f} s")


def write(page: Page, path: Path) -> None:
    """Write what a page shows as WebP, up to the tallest height."""
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("Math.ceil(document.documentElement.scrollHeight)")
    page.set_viewport_size({"width": size["width"], "height": min(TALLEST, max(height, size["height"]))})
    page.evaluate(
        "Promise.all([document.fonts.ready, ...[...document.images].filter(each => each.getBoundingClientRect().top"
        " < innerHeight).map(each => each.decode().catch(() => 0))])"
    )
    page.wait_for_timeout(200)
    image = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=QUALITY, method=6)
    page.set_viewport_size(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the screenshots")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these pages")
    arguments = parser.parse_args()
    unknown = {*arguments.only} - {scene.name for scene in SCENES}
    if unknown:
        sys.exit(f"there are no pages {', '.join(sorted(unknown))}; choose from {', '.join(s.name for s in SCENES)}")
    chosen = [scene for scene in SCENES if not arguments.only or scene.name in arguments.only]

    def take(page: Page, scene: Scene, width: int, scheme: str) -> None:
        write(page, arguments.folder / f"{scene.name}-{width}-{scheme}.webp")
        print(f"{scene.name} {width} {scheme}")

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        visit(Taking(browser, take, chosen), Path(folder), learn_from_feedback)
        browser.close()


if __name__ == "__main__":
    main()

"""Improvements of adapters, recorded as if runs had made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from gallery import COLOURS, add_image, png
from limner.core.feedback import Rating
from limner.core.improve import RECORD, Decision, ImprovementRecord, Measured
from limner.core.promotions import ImprovementPlan, Promotion
from limner.core.requests import AdapterUse, Contestant, ImproveRequest
from limner.core.runs import Run, Status
from limner.store.queue import Queue
from limner.store.runs import Lease
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from pages import adapter_file

PROMPTS = ("a red mug on a table", "a bowl of soup")
PLAN = ImprovementPlan(after=10, votes=6)
WINS = ("preference accuracy is above chance", "no other measure loses beyond its margin")
BETTER = Measured(
    name="preference_accuracy", title="Preference accuracy", better="higher", old=0.5, new=0.81, difference=0.31,
    low=0.12, high=0.5, count=24, of="held-out pair", margin=0.0, verdict="better",
)  # fmt: skip
KEPT = Measured(
    name="diversity", title="Diversity", better="higher", old=0.41, new=0.405, difference=-0.005,
    low=-0.011, high=0.001, count=6, of="prompt", margin=0.0123, verdict="kept",
)  # fmt: skip
LOST = Measured(
    name="diversity", title="Diversity", better="higher", old=0.41, new=0.33, difference=-0.08,
    low=-0.11, high=-0.05, count=6, of="prompt", margin=0.0123, verdict="worse",
)  # fmt: skip


def store_adapter(studio: Studio, name: str, record: ImprovementRecord | None = None, **header: str) -> AdapterUse:
    """An adapter whose folder is stored. record: of the improvement that made it."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "adapter.safetensors").write_bytes(adapter_file(name=name, **header))
        if record is not None:
            (Path(folder) / RECORD).write_text(record.model_dump_json())
        return AdapterUse(path=studio.files.save(Path(folder)))


def rate(
    studio: Studio, adapter: AdapterUse, count: int, industry: str = "food", stars: int = 4, first: int = 0, owner=""
) -> int:
    """An image of an adapter that so many accounts rated; returns its id."""
    image = add_image(
        studio, PROMPTS[0], COLOURS[first % 6], tags={"industry": industry}, owner=owner, adapter=(adapter,)
    )
    for number in range(first, first + count):
        studio.feedback.rate(Viewer(account=f"rater{number}"), image, Rating(stars=stars))
    return image


def start(studio: Studio, adapters: Sequence[AdapterUse], industry: str = "food", plan: ImprovementPlan = PLAN):
    """Start an improvement where enough ratings are new."""
    return studio.promotions.start(industry, False, adapters, plan, "starter")


def record_of(
    run: Run,
    prompts: Sequence[str] = PROMPTS,
    replaces: bool = True,
    why: Sequence[str] = WINS,
    measured: Sequence[Measured] = (BETTER, KEPT),
) -> ImprovementRecord:
    """The record of an improvement, with invented figures."""
    return ImprovementRecord(
        request=run.request.model_dump(mode="json"), target="cat", original="0" * 64, model="starter",
        file="adapter.safetensors", sha256="1" * 64, lesson="preference", lesson_reason="there are enough pairs",
        steps=10, loss=0.7, feedback="2" * 64, pairs=80, ratings=120, held_out_pairs=24, held_out_ratings=30,
        prompts=tuple(prompts), measured=tuple(measured), decision=Decision(replaces=replaces, reasons=tuple(why)),
    )  # fmt: skip


def stored_image(studio: Studio, prompt: str, seed: int, version: str) -> str:
    """A plain image that is another file for each prompt and seed, coloured by version; returns its reference."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "image.png"
        file.write_bytes(png("tomato" if version == "old" else "seagreen") + f"{prompt} {seed}".encode())
        return studio.files.save(file)


def finish(studio: Studio, run_id: str, prompts: Sequence[str] = PROMPTS, **record) -> AdapterUse:
    """End the queued run of an improvement, with its results; returns the improved adapter."""
    queue = Queue(studio.store, lease=timedelta(minutes=5))
    ((run, lease),) = queue.claim("worker", 1)
    assert run.id == run_id
    made = add_results(studio, run, record_of(run, prompts, **record), lease=lease)
    queue.finish(lease, Status.DONE)
    return made


def add_results(
    studio: Studio,
    run: Run,
    record: ImprovementRecord,
    image: Callable[[Studio, str, int, str], str] = stored_image,
    lease: Lease | None = None,
) -> AdapterUse:
    """Record what an improvement made: its adapter, and an image of each version for each prompt and seed.

    image: returns the reference of one, by prompt, seed and version.
    """
    assert isinstance(run.request, ImproveRequest)
    made = store_adapter(studio, f"improved {run.id}", record)
    for place, prompt in enumerate(record.prompts):
        for seed in range(run.request.seed, run.request.seed + run.request.count):
            for version in ("old", "new"):
                reference = image(studio, prompt, seed, version)
                details = {"version": version, "prompt": prompt, "seed": seed, "reference": reference}
                path, sha256 = f"/{run.id}/{version}/{place}-{seed}.png", reference.partition(":")[2]
                studio.store.add_artifact(run.id, "picture", path, sha256, details, lease)
    details = {"reference": made.path, "base": "starter"}
    studio.store.add_artifact(run.id, "adapter", f"/{run.id}", "1" * 64, details, lease)
    return made


def recorded(
    studio: Studio, industry: str, original: AdapterUse, image: Callable[[Studio, str, int, str], str], **record
) -> Promotion:
    """An improvement that waits for votes, of a run that no worker ever sees waiting."""
    request = ImproveRequest(target=Contestant(adapter=(original,)), model="starter", industry=industry)
    run = studio.store.create(request, tags={"industry": industry})
    run = studio.store.update(run.id, status=Status.DONE, queue=QUEUE)
    id = studio.promotions.add(industry, False, original, 200, PLAN.votes)
    assert id is not None
    add_results(studio, run, record_of(run, **record), image)
    studio.promotions.assign(id, run.id)
    studio.promotions.follow()
    return studio.promotions.get(id)


def voting(studio: Studio, industry: str = "food", **finished) -> tuple[Promotion, AdapterUse, AdapterUse]:
    """An improvement that waits for votes, with the original and the improved adapter."""
    old = store_adapter(studio, f"old {industry}")
    rate(studio, old, 10, industry)
    started = start(studio, [old], industry)
    assert started is not None and started.run is not None
    new = finish(studio, started.run, **finished)
    studio.promotions.follow()
    return studio.promotions.get(started.id), old, new


def vote_for(studio: Studio, promotion: Promotion, caller, version: str, count: int) -> Promotion:
    """Cast votes of an account for one version, on pairs that it has not voted on."""
    by_number = {each.number: each for each in studio.promotions.pairs(promotion)}
    open_pairs = [each for each in studio.promotions.shown_pairs(promotion, caller) if each.vote is None]
    assert len(open_pairs) >= count
    for each in open_pairs[:count]:
        left = "new" if each.left == by_number[each.number].new else "old"
        choice = "tie" if version == "tie" else "left" if left == version else "right"
        promotion = studio.promotions.cast(promotion.id, caller, each.number, choice)
    return promotion

"""Cards of jobs, with their results and what can be done with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, invalid
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.requests import GenerateRequest
from limner.core.runs import Run
from limner.server.dependencies import ServerState, find_run
from limner.server.history import reference_of
from limner.server.replies import url_of
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from limner.web.rendering import part_text
from limner.web.views import RunView, run_views, small_url

CARDS = {"job": ("job_card.html", "card"), "create": ("create_card.html", "card")}
"""What shows a job on a page: template and block."""
RESULTS = 24
"""Most images of a card."""
VARIATIONS = 4
LARGEST = 4.0
"""How many times the second pass enlarges an image at most."""
LONGEST_QUERY = 6000
"""Characters of a URL that carries settings; longer ones are refused by servers in between."""


@dataclass(frozen=True)
class Result:
    """An image that was generated. small: URL of its small copy. reference: its name in requests. settings, prompt: as
    queries of the page Create.
    """

    id: int
    url: str
    small: str
    reference: str
    prompt: str
    width: int | None
    height: int | None
    seed: int
    favourite: bool
    stars: int
    prompt_query: str
    settings_query: str
    input_query: str
    may_enlarge: bool = True
    trained: bool = False

    @property
    def name(self) -> str:
        """The name of its file when it is downloaded."""
        return f"limner-{self.id}.png"


@dataclass(frozen=True)
class JobCard:
    """A job and its results."""

    run: RunView
    results: tuple[Result, ...] = ()


def job_cards(studio: Studio, view: Viewer, runs: Sequence[Run]) -> list[JobCard]:
    """The cards of jobs. An image appears in its card when it is done, not only when all are."""
    return [
        JobCard(shown, tuple(results_of(studio, view, run)) if shown.images else ())
        for run, shown in zip(runs, run_views(studio, list(runs)), strict=True)
    ]


def results_of(studio: Studio, view: Viewer, run: Run) -> list[Result]:
    """The images that a run made so far."""
    return [result_of(each) for each in reversed(studio.images.list(view, ImageQuery(run=run.id, limit=RESULTS)))]


def result_of(image: GeneratedImage) -> Result:
    """An image with what the actions on it need."""
    request, reference = image.request, reference_of(image)
    seed = int(image.fact("seed"))
    words = query_of(request, ("prompt",))
    return Result(
        id=image.id,
        url=url_of(reference),
        small=small_url(url_of(reference)),
        reference=reference,
        prompt=request.prompt,
        width=image.fact("width"),
        height=image.fact("height"),
        seed=seed,
        favourite=image.favourite,
        stars=image.mine.stars if image.mine else 0,
        prompt_query=words,
        settings_query=query_of(request.model_copy(update={"seed": seed, "count": 1})) or words,
        input_query="&".join(filter(None, (urlencode({"image": reference}), words))),
        may_enlarge=(request.hires or 1.0) * 2 <= LARGEST,
        trained=bool(request.adapter),
    )


def enlarged(image: GeneratedImage) -> GenerateRequest:
    """The settings of an image, with sides twice as long by the second pass; raises LimnerError beyond its limit."""
    larger = (image.request.hires or 1.0) * 2
    try:
        return image.request.changed(seed=int(image.fact("seed")), count=1, hires=larger)
    except ValidationError as error:
        raise invalid(error) from error


def query_of(request: GenerateRequest, names: Sequence[str] = ()) -> str:
    """The settings of a request, or some of them, as the query of the page Create; empty if they are too long."""
    pairs: list[tuple[str, str]] = []
    for name, field in type(request).model_fields.items():
        value = getattr(request, name)
        if name == "kind" or (names and name not in names) or (value == field.default and name != "seed"):
            continue
        pairs += [(name, _text(each)) for each in (value if isinstance(value, tuple) else (value,))]
    text = urlencode(pairs)
    return text if len(text) <= LONGEST_QUERY else ""


def next_seed(studio: Studio, image: GeneratedImage, runs: Sequence[Run]) -> int:
    """The first seed that no run with the same settings as an image has used."""
    alike = _settings(image.request)
    used = [image.fact("seed") + 1]
    used += [
        run.request.seed + run.request.count
        for run in runs
        if isinstance(run.request, GenerateRequest) and _settings(run.request) == alike
    ]
    return max(used)


def recent_runs(studio: Studio, caller: Caller, limit: int) -> list[Run]:
    """The newest generate runs of the caller."""
    return studio.runs.list(limit, "generate", None, None, QUEUE, caller.scope)


def card_text(request: Request, state: ServerState, view: Viewer, caller: Caller, run_id: str, name: str) -> str:
    """The card of a job, as a part that replaces it in the page; empty if the job was erased meanwhile."""
    try:
        run = find_run(run_id, state, caller)
    except LimnerError:
        return ""
    (card,) = job_cards(state.studio, view, [run])
    template, block = CARDS[name]
    body = part_text(request, template, block, card=card, run=card.run)
    return f'<hx-partial hx-target="#run-{run.id}" hx-swap="outerHTML">{body}</hx-partial>'


def _settings(request: GenerateRequest) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude={"seed", "count", "batch"})


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)

"""/v1/pets: the pets that a model can draw, and images of them by species, breed, background, extras and style."""

from __future__ import annotations

import secrets
from functools import partial
from http import HTTPStatus
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.execution import Execution
from limner.core.pets import PetCatalogue, PetsCall, generate_request
from limner.core.requests import GenerateRequest
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.images import check_model
from limner.server.limits import run_submission
from limner.server.replies import RunReply
from limner.server.runs import run_reply, wait_seconds
from limner.studio.files import REFERENCE
from limner.studio.pets import adapter_identifier, pet_catalogue

router = APIRouter(prefix="/v1/pets", tags=["pets"])


class PetCatalogueReply(BaseModel):
    """The pets that a model can draw. breeds: of each species. coloured: extras that may follow one of the colours, as
    in "red scarf". most_extras: most extras of one image. The first style is the default.
    """

    model: str
    species: list[str]
    breeds: dict[str, list[str]]
    backgrounds: list[str]
    extras: list[str]
    coloured: list[str]
    colours: list[str]
    styles: list[str]
    most_extras: int

    @classmethod
    def of(cls, model: str, catalogue: PetCatalogue) -> PetCatalogueReply:
        return cls(
            model=model,
            species=list(catalogue.species),
            breeds={species: list(breeds) for species, breeds in catalogue.breeds.items()},
            backgrounds=list(catalogue.backgrounds),
            extras=list(catalogue.extras),
            coloured=list(catalogue.coloured),
            colours=list(catalogue.colours),
            styles=list(catalogue.styles),
            most_extras=catalogue.most_extras,
        )


@router.get("")
def list_pets(
    model: Annotated[str, Query(min_length=1, max_length=200, description="Base model.")] = "starter",
) -> PetCatalogueReply:
    """List the pets that a model can draw: the starter knows few, other models all of the catalogue."""
    check_model(model)
    return PetCatalogueReply.of(model, pet_catalogue(model))


@router.post("", status_code=202, responses={200: {"model": RunReply}})
async def generate_pets(
    call: PetsCall,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    prefer: Annotated[str | None, Header()] = None,
) -> RunReply:
    """Generate images of a pet. The choices become a prompt in the words of captions, and tags of the run. With the
    header `Prefer: wait` or `Prefer: wait=SECONDS`, the response waits for the run to end.
    """
    seconds = wait_seconds(prefer, state.settings.wait_seconds)
    run = await run_submission(partial(submit_pets, state, call, caller))
    if seconds:
        run = await state.waiter.ended(run, seconds)
        response.headers["Preference-Applied"] = "wait"
    response.headers["Location"] = f"/v1/runs/{run.id}"
    response.status_code = HTTPStatus.OK if run.status.ended else HTTPStatus.ACCEPTED
    return await run_sync(run_reply, state.studio, run)


def pets_request(state: ServerState, call: PetsCall, caller: Caller) -> tuple[GenerateRequest, dict[str, str]]:
    """Return the generate request of a call, and its tags; raises LimnerError for choices that the model lacks."""
    identifier = None
    if call.needs_identifier and call.adapter is not None:
        identifier = _identifier(state, call.adapter.path, caller)
    return generate_request(call, pet_catalogue(call.model), secrets.randbelow(2**32), identifier)


def submit_pets(state: ServerState, call: PetsCall, caller: Caller, execution: Execution | None = None) -> Run:
    """Queue the generate request of a call."""
    request, tags = pets_request(state, call, caller)
    return state.studio.enqueue(request, tags=tags, caller=caller, granted=state.granted, execution=execution)


def _identifier(state: ServerState, reference: str, caller: Caller) -> str | None:
    """Return the identifier of an adapter; None for one that the caller may not use, which is refused afterwards."""
    files = state.studio.files
    if REFERENCE.fullmatch(reference) is None:
        return None
    if reference not in state.granted and not files.may_use(caller, reference):
        return None
    try:
        return adapter_identifier(str(files.local_path(reference)))
    except Unavailable:
        raise
    except LimnerError as error:
        problem = f"adapter {reference!r} cannot be read"  # its path on this machine is nobody's business
        raise LimnerError(problem, "use the folder or the .safetensors file of an adapter") from error

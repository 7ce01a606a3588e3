"""Models on the Hugging Face hub and in its cache on this machine."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import expand_home
from limner.core.text import first_sentence
from limner.models.tensor_files import damage

_NO_CONNECTION = frozenset(
    ("gaierror", "ConnectionError", "TimeoutError", "TransportError", "LocalEntryNotFoundError", "OfflineModeIsEnabled")
)
"""Names of errors, or of their bases, of the libraries that download, if the hub was not reached."""


def is_repository(reference: str) -> bool:
    """Whether a reference can be the id of a repository, OWNER/NAME."""
    parts = reference.split("/")
    return len(parts) == 2 and all(parts) and not reference.startswith((".", "/", "~"))


def file_of(location: str) -> tuple[str, str] | None:
    """Return repository and file of a location such as owner/name/file.safetensors; None for a local path."""
    parts = location.split("/", 2)
    if len(parts) < 3 or not location.endswith(".safetensors") or not parts[0] or Path(location).exists():
        return None
    return "/".join(parts[:2]), parts[2]


def page_of(location: str) -> str:
    """The address of the page of a repository, or of a file's."""
    return "https://huggingface.co/" + "/".join(location.split("/")[:2])


def on_disk(location: str) -> Path | None:
    """Return the folder or file of a model: a local path, or its place in the hub's cache; None if it is not there."""
    if Path(location).exists():
        return Path(location)
    from huggingface_hub import try_to_load_from_cache

    if (single := file_of(location)) is not None:
        found = try_to_load_from_cache(*single)
        return Path(found) if isinstance(found, str) else None
    try:  # a pipeline, or a single part
        known = [try_to_load_from_cache(location, name) for name in ("model_index.json", "config.json")]
    except ValueError:  # not a valid repository name
        return None
    return next((Path(found).parent for found in known if isinstance(found, str)), None)


def part_config(location: str, part: str) -> dict[str, Any] | None:
    """Return the configuration of a part of a model by its folder's name, without its weights; None if unknown.

    That of a repository is downloaded. A single file has none.
    """
    from huggingface_hub import errors, hf_hub_download

    name = f"{part}/{part}_config.json"
    place = on_disk(location)
    try:
        if place is None or not (place / name).is_file():
            if place == Path(location) or not is_repository(location):
                return None
            place = Path(hf_hub_download(location, name)).parents[1]
        settings = json.loads((place / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, errors.HTTPError):  # loading the model reports it
        return None
    return settings if isinstance(settings, dict) else None


def index_of(reference: str) -> tuple[dict[str, Any], str]:
    """Return `model_index.json` and the licence of a repository on the hub or in its cache."""
    from huggingface_hub import hf_hub_download

    with hub_errors(reference):
        index = json.loads(Path(hf_hub_download(reference, "model_index.json")).read_text(encoding="utf-8"))
    return index, licence_of(reference)


def licence_of(repository: str) -> str:
    """Return the licence in a repository's model card, or "unknown"."""
    from huggingface_hub import hf_hub_download

    try:
        return card_licence(Path(hf_hub_download(repository, "README.md")))
    except (OSError, ValueError):
        return "unknown"


def card_licence(card: Path) -> str:
    """Return the licence in a model card, or "unknown"."""
    if not card.is_file():
        return "unknown"
    lines = card.read_text(encoding="utf-8", errors="replace")[:5000].splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("license:")), "unknown")


@contextmanager
def hub_errors(reference: str, what: str = "model", location: str | None = None) -> Iterator[None]:
    """Turn errors of downloading or loading into a LimnerError, which passes unchanged if one is raised inside.

    what: what the reference should be. location: what the reference stands for, if it is an alias.
    """
    from huggingface_hub import errors
    from safetensors import SafetensorError

    location = location or reference
    try:
        yield
    except SafetensorError as error:
        raise LimnerError(
            f"{what} {reference!r} has weights that cannot be read: {damage(error)}", "copy or fetch it again"
        ) from error
    except errors.GatedRepoError as error:
        remedy = f"accept its licence at {page_of(location)} and set HF_TOKEN"
        raise LimnerError(f"{what} {reference!r} is gated", remedy) from error
    except errors.RepositoryNotFoundError as error:
        raise LimnerError(
            f"{what} {reference!r} is not on the Hugging Face hub", "check the name, or set HF_TOKEN"
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise LimnerError(
            f"{what} {reference!r} on the Hugging Face hub is not a diffusers {what} ({first_sentence(str(error))})",
            "choose a repository in the diffusers layout, or one file: OWNER/NAME/FILE.safetensors",
        ) from error
    except (OSError, ValueError, errors.HTTPError) as error:
        if isinstance(error, LimnerError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        place, reason = expand_home(location), first_sentence(str(error))
        pickled = "safetensors" in str(error) and place.is_dir() and any(place.rglob("*.bin"))
        if place.is_file():
            raise LimnerError(
                f"{what} {reference!r} cannot be loaded: its configuration is not in the file, and could not be "
                f"downloaded or does not fit ({reason})",
                "connect to the network, or use a diffusers folder",
            ) from error
        if place.is_dir() and not pickled:
            raise LimnerError(
                f"{what} {reference!r} is incomplete or no {what} ({reason})", "copy or fetch the folder again"
            ) from error
        if "safetensors" in str(error) and not isinstance(error, errors.HTTPError):
            raise LimnerError(
                f"{what} {reference!r} has no complete safetensors weights; pickles are refused, as they can run code",
                "use a version of it in safetensors, or fetch it again",
            ) from error
        raise LimnerError(
            f"{what} {reference!r} is not on disk and could not be fetched ({why_not_fetched(error)})",
            f"check the name and the network, or copy the {what} to a folder of this machine and name that",
        ) from error


def why_not_fetched(error: Exception) -> str:
    """Why a repository could not be downloaded, without the advice of the libraries, which is for programmers."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    causes = list(_causes(error))
    if (status := next((found for cause in causes if (found := _status(cause))), None)) is not None:
        return f"the Hugging Face hub answered with the status {status}"
    if any(_NO_CONNECTION & {kind.__name__ for kind in type(cause).__mro__} for cause in causes):
        return "no connection to the Hugging Face hub"
    return first_sentence(str(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status of an error's response, if that is one of an error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= HTTPStatus.BAD_REQUEST else None

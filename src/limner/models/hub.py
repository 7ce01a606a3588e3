"""What the Hugging Face hub, or this machine's cache of it, has of a model."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError


def is_repository(reference: str) -> bool:
    parts = reference.split("/")
    return len(parts) == 2 and all(parts) and not reference.startswith((".", "/", "~"))


def file_of(location: str) -> tuple[str, str] | None:
    """Repository and file of a location such as owner/name/file.safetensors that is no path here."""
    parts = location.split("/", 2)
    if len(parts) < 3 or not location.endswith(".safetensors") or not parts[0] or Path(location).exists():
        return None
    return "/".join(parts[:2]), parts[2]


def on_disk(location: str) -> Path | None:
    """The folder or file of a model: the location itself, or what the hub's cache has of it."""
    if Path(location).exists():
        return Path(location)
    from huggingface_hub import try_to_load_from_cache

    if (single := file_of(location)) is not None:
        found = try_to_load_from_cache(*single)
        return Path(found) if isinstance(found, str) else None
    try:  # a pipeline, or a part by itself
        known = [try_to_load_from_cache(location, name) for name in ("model_index.json", "config.json")]
    except ValueError:  # no possible name of a repository
        return None
    return next((Path(found).parent for found in known if isinstance(found, str)), None)


def part_config(location: str, part: str) -> dict[str, Any] | None:
    """The settings of a part of a model by its folder's name, without its weights; None where they are not known.

    Those of a repository are fetched. A single file has none of its own.
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
    """`model_index.json` and the licence of a repository on the Hugging Face hub, or from its local cache."""
    from huggingface_hub import hf_hub_download

    with hub_errors(reference):
        index = json.loads(Path(hf_hub_download(reference, "model_index.json")).read_text(encoding="utf-8"))
    return index, licence_of(reference)


def licence_of(repository: str) -> str:
    from huggingface_hub import hf_hub_download

    try:
        return card_licence(Path(hf_hub_download(repository, "README.md")))
    except (OSError, ValueError):
        return "unknown"


def card_licence(card: Path) -> str:
    if not card.is_file():
        return "unknown"
    lines = card.read_text(encoding="utf-8", errors="replace")[:5000].splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("license:")), "unknown")


@contextmanager
def hub_errors(reference: str, what: str = "model", location: str | None = None) -> Iterator[None]:
    """Turn a failing download, or files that are not what they should be, into one clear line.

    what: what the reference is wanted for. location: what the reference stands for, where that is something else. A
    line of ours from inside is left as it is.
    """
    from huggingface_hub import errors

    location = location or reference
    try:
        yield
    except errors.GatedRepoError as error:
        page = "https://huggingface.co/" + "/".join(location.split("/")[:2])
        raise LimnerError(f"{what} {reference!r} is gated", f"accept its licence at {page} and set HF_TOKEN") from error
    except errors.RepositoryNotFoundError as error:
        raise LimnerError(
            f"{what} {reference!r} is not on the Hugging Face hub", "check the name, or set HF_TOKEN"
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise LimnerError(
            f"{what} {reference!r} is on the Hugging Face hub, but no diffusers {what} ({str(error)[-160:]})",
            "choose a repository in the diffusers layout, or name one file of it: OWNER/NAME/FILE.safetensors",
        ) from error
    except (OSError, ValueError, errors.HTTPError) as error:
        if isinstance(error, LimnerError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        place, said = Path(location).expanduser(), str(error)[:160]
        pickled = "safetensors" in str(error) and place.is_dir() and any(place.rglob("*.bin"))
        if place.is_file():
            raise LimnerError(
                f"{what} {reference!r} cannot be loaded; its settings are not in the file and could not be fetched, or "
                f"do not fit it ({said})",
                "connect to the network, or give a diffusers folder",
            ) from error
        if place.is_dir() and not pickled:
            raise LimnerError(
                f"{what} {reference!r} is incomplete or no {what} ({said})", "copy or fetch the folder again"
            ) from error
        if "safetensors" in str(error) and not isinstance(error, errors.HTTPError):
            raise LimnerError(
                f"{what} {reference!r} has no complete safetensors weights; pickles are refused, as they can run code",
                "use a version of it in safetensors, or fetch it again",
            ) from error
        raise LimnerError(
            f"{what} {reference!r} is not on disk and could not be fetched ({said})",
            "check the name and the network, or give a folder that holds it"
            + (", or use --model starter" if what == "model" else ""),
        ) from error

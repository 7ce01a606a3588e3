"""The image that a call starts from: stored here, and named by its reference or its URL, or downloaded from its URL."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from starlette.datastructures import QueryParams

from limner.core.accounts import Caller
from limner.server.dependencies import ServerState
from limner.server.hosts import without_port
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.server.uploads import image_size, store_image_from_url
from limner.studio.files import REFERENCE

API = "/v1/"
"""Start of the paths of this server; only those of files are images."""
FILES = "/v1/files/"

_HASH = re.compile(r"sha256:.*|[0-9a-f]{32,}", re.IGNORECASE)
"""What is meant as the hash of an image, if not a valid one."""


def base_image(state: ServerState, caller: Caller, request: Request, url: str) -> str:
    """Return the reference of the image that a caller names; raises LimnerError if it may not be used, or is none.

    url: `sha256:HASH`, a URL or a path of this server, or another URL, which is downloaded. A signed URL of this server
    gives its file to the account, as downloading and uploading it would.
    """
    if REFERENCE.fullmatch(url):
        return _stored(state, caller, url)
    if _HASH.fullmatch(url):
        if REFERENCE.fullmatch(reference := f"sha256:{url.rpartition(':')[2].lower()}"):
            return _stored(state, caller, reference)
        raise _refused(f"{url[:80]!r} is not a whole SHA-256", "write sha256: and its 64 digits from 0 to f")
    parts = _own(state, request, url)
    if parts is None:
        return store_image_from_url(state.studio, caller, url, state.settings.upload_bytes)
    path = parts.path.removeprefix(request.scope.get("root_path", ""))
    reference = f"sha256:{path.removeprefix(FILES)}"
    if not path.startswith(FILES) or not REFERENCE.fullmatch(reference):
        raise _refused(f"{url[:200]!r} is not the URL of an image of this server", "use its generated_image_url")
    signed = state.links is not None and state.links.opens(path, QueryParams(parts.query))
    return _stored(state, caller, reference, signed)


def _own(state: ServerState, request: Request, url: str) -> SplitResult | None:
    """Return the parts of a URL or a path of this server's API; None for any other."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.casefold()
    except ValueError:
        return None
    if (parts.scheme, parts.netloc) != ("", ""):
        names = {name.casefold() for name in state.settings.host_names}
        same = host == request.headers.get("host", "").casefold()
        if parts.scheme not in ("http", "https") or not (same or without_port(host) in names):
            return None
    return parts if parts.path.removeprefix(request.scope.get("root_path", "")).startswith(API) else None


def _stored(state: ServerState, caller: Caller, reference: str, signed: bool = False) -> str:
    """Return the reference of a stored image; raises HTTPError (422) if the caller may not use it, or it is none.

    signed: the caller has a valid link to it.
    """
    files = state.studio.files
    own = files.may_use(caller, reference) or reference in state.granted
    kind, _, sha256 = reference.partition(":")
    if not (own or signed) or sha256 not in files:
        problem, remedy = f"there is no image {reference[:19]} that you may use", "name an image of your account"
        raise _refused(problem, f"{remedy}, or one that is shared with it")
    if kind != "sha256":
        raise _refused(f"{reference[:19]} is a folder", "name an image, as sha256:HASH")
    size, limit = files.size(sha256), state.settings.upload_bytes
    if size > limit:
        raise _refused(f"{url_of(reference)[:30]} has {size:,} bytes, more than {limit:,}", "name a smaller image")
    image_size(state.studio, files.local_path(reference))
    if not own:
        files.grants.add(caller, reference, size)
    return reference


def _refused(problem: str, remedy: str) -> HTTPError:
    return HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, remedy, pointer="/base_image_url")

"""Small copies of images for pages, under URLs with the hash of the image."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse

from limner.server.auth import CallerDep
from limner.server.dependencies import StudioDep, check_access
from limner.server.files import CACHE_FOREVER, SANDBOX, IfNoneMatch, Sha256, matches, not_found
from limner.server.problems import HTTPError
from limner.studio.images import SIDES

router = APIRouter()


@router.get("/thumbnails/{side}/{sha256}.webp")
def download_thumbnail(
    studio: StudioDep,
    caller: CallerDep,
    side: Annotated[int, Path(ge=1, le=4096)],
    sha256: Sha256,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the small copy of an image that the caller may read."""
    if side not in SIDES:
        sizes = " and ".join(map(str, SIDES))
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there are no thumbnails of {side} pixels", f"there are {sizes}")
    check_access(studio, caller, f"sha256:{sha256}")
    tag = f"{sha256}-{side}"
    headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_FOREVER} | SANDBOX
    with not_found("file", sha256):
        place = studio.images.thumbnail(sha256, side)
    if matches(if_none_match, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return FileResponse(place, headers=headers, media_type="image/webp")

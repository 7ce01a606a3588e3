"""The home page: where to begin, what is in progress, and the newest images."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from limner.core.feedback import ImageQuery
from limner.server.auth import CallerDep
from limner.server.dependencies import StudioDep, ViewDep
from limner.server.history import reference_of
from limner.server.replies import url_of
from limner.web.rendering import page
from limner.web.views import ImageView, open_runs, run_views

EXAMPLE = "a photo of a corgi on the beach at sunset"
NEWEST = 12
router = APIRouter()


@router.get("/")
def show_home(request: Request, studio: StudioDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the home page."""
    images = [
        ImageView(url_of(reference_of(each)), each.request.prompt, each.fact("width"), each.fact("height"))
        for each in studio.images.list(view, ImageQuery(limit=NEWEST))
    ]
    jobs = run_views(studio, open_runs(studio, caller))
    return page(request, "home.html", jobs=jobs, images=images, example=EXAMPLE)

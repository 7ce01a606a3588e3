"""A page with every component, for those who develop the studio."""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from limner.web.forms import form_fields
from limner.web.rendering import page
from limner.web.views import RunView

router = APIRouter()
FAILED = "the model 'nosuch' is unknown; choose one that the page Library lists"


@router.get("/components")
def show_components(request: Request) -> HTMLResponse:
    """Show every component in each of its states."""
    fields = form_fields(
        "generate", {"steps": "many"}, {"steps": "steps 'many' is not a number; write one, such as 20"}
    )
    running = RunView("a", "a cat", "running", "running", False, False, "denoising", 3, 10, "", (), (), "")
    waiting = replace(running, id="b", status="queued", status_text="waiting", stage="")
    failed = replace(waiting, id="c", status="failed", status_text="failed", ended=True, retriable=True, error=FAILED)
    jobs = [running, waiting, failed]
    return page(request, "portfolio.html", fields=fields, jobs=jobs)

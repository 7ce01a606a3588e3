"""The studio's pages, without a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from lxml import html

from limner.server.settings import Settings
from limner.studio.studio import Studio
from limner.web.site import create_site

PART = {"HX-Request": "true", "Accept": "text/html"}


@dataclass
class Site:
    """A site and a client of it."""

    studio: Studio
    client: TestClient

    def page(self, path: str, **options) -> html.HtmlElement:
        response = self.client.get(path, **options)
        assert response.status_code == 200, response.text
        return html.fromstring(response.text)


def site_of(home, **settings) -> Site:
    studio = Studio(home)
    client = TestClient(create_site(studio, Settings(**settings)), base_url="http://127.0.0.1", follow_redirects=False)
    client.headers["Accept"] = "text/html"
    return Site(studio, client)


def tree(response: Any) -> html.HtmlElement:
    return html.fromstring(response.text)


def text_of(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())

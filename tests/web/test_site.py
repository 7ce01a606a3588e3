"""Pages and their files: headers, links, errors, hostile texts, and a site below a prefix."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

import serving
from limner.core.requests import GenerateRequest
from limner.server.settings import Settings
from limner.studio.studio import Studio
from limner.web.assets import STATIC, asset_path
from limner.web.rendering import NAVIGATION, TEMPLATES
from limner.web.site import create_site
from pages import PART, text_of, tree

PAGES = [place for _, place, _ in NAVIGATION] + ["/components"]
VENDOR = STATIC / "vendor"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_of_its_own(site, path):
    response = site.client.get(path)
    policy = response.headers["content-security-policy"]
    assert response.status_code == 200 and "default-src 'self'" in policy and "unsafe" not in policy
    page = tree(response)
    assert not page.xpath("//script[not(@src)] | //style | //*[@style]")
    assert not [name for each in page.iter() for name in each.attrib if name.startswith(("on", "hx-on"))]
    for address in page.xpath("//script/@src | //link/@href | //img/@src"):
        assert address.startswith("/") and site.client.get(address).status_code == 200, address
    for address in page.xpath("//nav//a/@href"):
        assert site.client.get(address).status_code == 200, address
    assert len(page.xpath("//h1")) == 1 and page.get("lang") == "en"


def test_templates_hold_nothing_that_evaluates_or_marks_text_as_safe():
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        for banned in (
            "|safe",
            "| safe",
            "Markup",
            "hx-on",
            "js:",
            "<style",
            " style=",
            "onclick",
            "http://",
            "https://",
        ):
            assert banned not in text, (path.name, banned)
        assert not re.search(r'hx-trigger="[^"]*\[', text), path.name


def test_files_have_their_hash_in_the_url_and_stay_cached(site):
    path = asset_path("studio.css")
    response = site.client.get(path)
    assert response.status_code == 200 and "immutable" in response.headers["cache-control"]
    digest = hashlib.sha256((STATIC / "studio.css").read_bytes()).hexdigest()[:12]
    assert path == f"/static/{digest}/studio.css"
    for wrong in (
        path.replace(digest, "0" * 12),
        f"/static/{digest}/%2e%2e/rendering.py",
        f"/static/{digest}/nosuch.css",
    ):
        assert site.client.get(wrong).status_code == 404, wrong


def test_vendored_files_are_those_of_the_manifest():
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    named = {"manifest.json"}
    for package in manifest["packages"]:
        assert package["integrity"].startswith("sha512-") and package["licence"]
        assert package["licence_file"] in package["files"]
        for name, facts in package["files"].items():
            digest = hashlib.sha256((VENDOR / name).read_bytes()).digest()
            assert facts["hash"] == f"sha256-{base64.b64encode(digest).decode()}", name
            named.add(name)
    assert {path.name for path in VENDOR.iterdir()} == named


def test_errors_of_pages_are_pages_and_those_of_the_api_are_json(site):
    response = site.client.get("/runs/nosuch")
    assert response.status_code == 404 and "there is no run" in text_of(tree(response))
    part = site.client.get("/runs/nosuch/card", headers=PART)
    assert part.status_code == 404 and "<html" not in part.text and "there is no run" in part.text
    assert site.client.get("/v1/runs/nosuch").headers["content-type"] == "application/problem+json"
    assert site.client.get("/nosuch").status_code == 404


def test_hostile_texts_are_shown_as_text(site):
    text = "<script>alert(1)</script>\"' onerror=alert(1) {{ 7*7 }} <img src=x>"
    run = site.studio.enqueue(GenerateRequest(prompt=text))
    for path in ("/", "/create", "/queue", f"/runs/{run.id}"):
        page = site.page(path)
        assert not page.xpath("//script[not(@src)] | //img[@src='x'] | //*[@onerror]"), path
        assert text in page.text_content(), path
    assert site.page("/create", params={"prompt": text}).xpath("//textarea")[0].text_content().strip() == text


@pytest.mark.parametrize("path", PAGES)
def test_below_a_prefix_every_address_has_it(home, path):
    studio = Studio(home)
    app = create_site(studio, Settings())
    client = TestClient(app, base_url="http://127.0.0.1", root_path="/art")
    page = tree(client.get(f"/art{path}", headers={"Accept": "text/html"}))
    found = page.xpath("//@href | //@src | //@action | //@formaction | //@*[name()='hx-post' or name()='hx-get']")
    assert found and all(each.startswith(("/art/", "#")) for each in found)
    studio.close()


def test_a_server_below_a_path_of_a_proxy(home):
    with serving.service(home, workers=0, root_path="/art") as running:
        page = running.call("GET", "/queue", Accept="text/html")
        assert page.status == 200 and b'href="/art/queue"' in page.body
        for address in tree(SimpleNamespace(text=page.body.decode())).xpath("//script/@src | //link/@href"):
            assert running.call("GET", address.removeprefix("/art")).status == 200, address
        error = running.call("GET", "/v1/runs/nosuch", Accept="text/html")
        assert error.headers["Content-Type"] == "application/problem+json", "an API answers as an API"
        assert "Content-Security-Policy" not in error.headers


def test_assets_are_in_the_package():
    assert {path.suffix for path in Path(STATIC).rglob("*") if path.is_file()} >= {".css", ".js", ".svg", ".json"}

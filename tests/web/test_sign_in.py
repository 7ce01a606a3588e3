"""Browsers sign in with a key: sessions end with it, and other sites cannot use them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from gallery import add_image
from limner.core.accounts import Caller, Role
from limner.core.requests import GenerateRequest
from limner.store.tables import BrowserSessionRow
from limner.web.pages.sign_in import local_path
from pages import PART, picture_folder, site_of, text_of, tree


def sign_in(site, account="ann", role=None, **form):
    key, secret = site.studio.accounts.add_key(account, role)
    response = site.client.post("/sign-in", data={"key": f" {secret} ", **form})
    assert response.status_code == 303, response.text
    return key, response


def test_without_a_session_pages_lead_to_the_sign_in(guarded):
    response = guarded.client.get("/queue")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=%2Fqueue")
    part = guarded.client.get("/queue", headers=PART)
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in?next=%2Fqueue")
    assert guarded.client.get("/v1/runs").status_code == 401
    assert guarded.page("/sign-in").xpath("//input[@type='password'][@name='key']")


def test_a_key_opens_a_session_and_signing_out_ends_it(guarded):
    _, response = sign_in(guarded, next="/queue")
    cookie = response.headers["set-cookie"].lower()
    assert response.headers["location"] == "/queue"
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie and "secure" not in cookie
    assert guarded.client.get("/queue").status_code == 200
    token = guarded.client.cookies["limner"]
    assert guarded.client.post("/sign-out").status_code == 303
    guarded.client.cookies.set("limner", token)
    assert guarded.client.get("/queue").status_code == 303, "the token itself is void"


def test_behind_tls_the_cookie_is_secure(guarded):
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.base_url = "https://127.0.0.1"
    cookie = guarded.client.post("/sign-in", data={"key": secret}).headers["set-cookie"]
    assert cookie.startswith("__Host-limner=") and "Secure" in cookie


def test_a_wrong_key_is_refused_and_never_shown_again(guarded):
    response = guarded.client.post("/sign-in", data={"key": "limner_wrong", "next": "/queue"})
    assert response.status_code == 401 and "set-cookie" not in response.headers
    assert "unknown, expired or revoked" in text_of(tree(response)) and "limner_wrong" not in response.text


def test_revoking_the_key_ends_the_session_at_once(guarded):
    key, _ = sign_in(guarded)
    guarded.studio.accounts.revoke(key.id)
    assert guarded.client.get("/queue").status_code == 303


@pytest.mark.parametrize(("days", "status"), [(29, 200), (31, 303)])
def test_a_session_ends_after_thirty_days(guarded, days, status):
    sign_in(guarded)
    with guarded.studio.store.writing() as session:
        moved = BrowserSessionRow.expires - timedelta(days=days)
        ends = datetime.now(UTC) + timedelta(days=30 - days)
        session.execute(update(BrowserSessionRow).values(expires=ends))
        assert moved is not None
    assert guarded.client.get("/queue").status_code == status


def test_pages_of_other_sites_cannot_use_a_session(guarded):
    sign_in(guarded)
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
    ):
        response = guarded.client.post("/create", data={"prompt": "a cat"}, headers=headers)
        assert response.status_code == 403 and not guarded.studio.runs.list(), headers
    fine = guarded.client.post("/create", data={"prompt": "a cat"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert fine.status_code == 303


def test_a_viewer_may_look_and_not_create(guarded):
    sign_in(guarded, "vic", Role.VIEWER)
    assert guarded.client.get("/create").status_code == 200
    assert guarded.client.post("/create", data={"prompt": "a cat"}).status_code == 403


def test_accounts_see_their_own_jobs_only(guarded):
    sign_in(guarded)
    guarded.client.post("/create", data={"prompt": "the cat of ann"})
    (run,) = guarded.studio.runs.list()
    guarded.client.cookies.clear()
    sign_in(guarded, "bob")
    for path in ("/", "/create", "/queue"):
        assert "the cat of ann" not in guarded.client.get(path).text
    for path in (f"/runs/{run.id}", f"/runs/{run.id}/card"):
        assert guarded.client.get(path).status_code == 404
    assert guarded.client.post(f"/runs/{run.id}/cancel").status_code == 404


@pytest.mark.parametrize(
    "text", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", "/" * 3000]
)
def test_the_way_back_stays_on_this_site(text):
    assert local_path(text) == "/" and local_path("/queue?before=x") == "/queue?before=x"


def test_a_service_without_keys_asks_for_none(site):
    assert site.client.get("/sign-in").headers["location"] == "/"


def test_behind_a_proxy_that_removes_a_path_sign_in_and_its_rights_are_the_same(guarded):
    """uvicorn puts the path that the proxy removed before that of each request."""
    app = guarded.client.app
    client = TestClient(app, base_url="http://127.0.0.1", root_path="/art", follow_redirects=False)
    client.headers["Accept"] = "text/html"
    _, secret = guarded.studio.accounts.add_key("vic", Role.VIEWER)
    assert client.get("/art/queue").headers["location"] == "/art/sign-in?next=%2Fqueue"
    shown = client.get("/art/sign-in")
    assert shown.status_code == 200
    for asset in tree(shown).xpath("//link[@rel='stylesheet']/@href"):
        assert client.get(asset).status_code == 200, asset
    signed = client.post("/art/sign-in", data={"key": secret, "next": "/queue"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/art/queue")
    assert client.get("/art/queue").status_code == 200
    marked = client.post("/art/gallery/collections", data={"name": "mine"})
    assert (marked.status_code, marked.headers["location"]) == (303, "/art/gallery?collection=1")
    assert client.post("/art/teach").status_code == 403
    assert client.post("/art/sign-out").headers["location"] == "/art/sign-in"
    assert client.get("/art/queue").status_code == 303
    reference = guarded.studio.files.upload(picture_folder(guarded) / "1.png")
    link = app.state.server.links.sign(f"/v1/files/{reference.removeprefix('sha256:')}")
    assert client.get(f"/art{link}").status_code == 200
    assert client.get(f"/art{link}0").status_code in (401, 303)


@pytest.mark.parametrize("accounts", [False, True])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://other.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({}, True),
    ],
)
def test_no_page_of_another_site_changes_anything_with_or_without_keys(home, accounts, headers, allowed):
    site = site_of(home, accounts=accounts)
    if accounts:
        sign_in(site)
    assert site.client.post("/teach", headers=headers).status_code == (303 if allowed else 403)
    assert len(site.studio.drafts.list("ann" if accounts else "")) == allowed
    assert site.client.get("/teach", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200, "a link leads here"
    site.studio.close()


@pytest.mark.parametrize("address", ["http://[x", "//[x", "http://]", "\\", "http://127.0.0.1/runs/x y", "x" * 9000])
def test_an_odd_address_to_go_back_to_leads_to_a_page_of_this_site(guarded, address):
    sign_in(guarded)
    owner = Caller(account="ann")
    run, image = (
        guarded.studio.enqueue(GenerateRequest(prompt="x"), caller=owner),
        add_image(guarded.studio, owner="ann"),
    )
    headers = {"Referer": address}
    assert guarded.client.post(f"/runs/{run.id}/cancel", headers=headers).headers["location"] == "/queue"
    back = guarded.client.post(f"/create/images/{image}/favourite", headers=headers)
    assert back.headers["location"] == "/create"
    assert guarded.client.get("/sign-in", params={"next": address}).status_code == 200
    assert local_path(address) == "/"


def _expire(site, key: str) -> None:
    with site.studio.store.session() as session:
        session.execute(update(BrowserSessionRow).values(expires=datetime.now(UTC)))


ENDS = {
    "revoked": lambda site, key: site.studio.accounts.revoke(key),
    "signed out elsewhere": lambda site, key: site.client.post("/sign-out"),
    "expired": _expire,
}


@pytest.mark.parametrize("path", ["/queue/events", "/runs/RUN/live", "/jobs/events?run=RUN", "/v1/runs/RUN/events"])
@pytest.mark.parametrize("how", ENDS)
def test_an_open_stream_ends_with_the_key_or_the_session(guarded, monkeypatch, path, how):
    monkeypatch.setattr("limner.server.open_responses.RECHECK", 0.05)
    key, _ = sign_in(guarded, role=Role.MAKER)
    run = guarded.studio.enqueue(GenerateRequest(prompt="a cat"), caller=Caller(account="ann", role=Role.MAKER))
    cookies, checked = dict(guarded.client.cookies), []
    found = guarded.studio.accounts.session_caller

    def counted(token: str) -> Caller | None:
        checked.append(token)
        if len(checked) == 3:  # the first one let the request in; the stream is open since
            ENDS[how](guarded, key.id)
        return found(token)

    monkeypatch.setattr(guarded.studio.accounts, "session_caller", counted)
    headers = {**PART, "Accept": "text/event-stream", "Cookie": f"limner={cookies['limner']}"}
    response = guarded.client.get(path.replace("RUN", run.id), headers=headers)
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
    assert len(checked) >= 3 and "event: end" not in response.text
    assert guarded.client.get("/queue/events", headers=headers).status_code == 401, "it does not open again"

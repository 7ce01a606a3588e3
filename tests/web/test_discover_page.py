"""The page Discover without a browser: searches, filters, images of libraries, changed prompts, use, and accounts."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from gallery import add_image, png
from limner.cli.terminal import print_hits
from limner.core.accounts import Caller, Role
from limner.core.discover import Filters, Hit, colour_of
from limner.core.errors import LimnerError
from limner.core.prompt_records import PromptRecord
from limner.studio import library_images
from limner.studio.prompts import words_of_part
from limner.web.discover import MOST_PIECES, why
from limner.web.pages.discover import SHOWN
from pages import EXAMPLES, PART, site_of, teach, text_of, tree
from prompt_libraries import HOSTILE, QUERIES, add_library

CORGI = "a photo of a corgi on a beach, soft light"
RECORD = PromptRecord(CORGI, "blurry, text", "", "SDXL", "", "ddim", 512, 768, 30, 7.5, 11, 4)
PLACE = "/discover/prompts/collected/1"


def cards(page):
    return page.xpath("//li[@class='hit']")


def prompts(page):
    return [text_of(each.xpath(".//h2")[0]) for each in cards(page)]


def action(element, text):
    """The address of the link with a text."""
    (found,) = [each for each in element.xpath(".//a") if text_of(each) == text]
    return found.get("href")


def query_of(address):
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}


def folder_of(tmp_path: Path) -> Path:
    """The folder of a source with two images, one in a folder of its own, and an image beside the folder."""
    source = tmp_path / "source"
    (source / "more").mkdir(parents=True)
    (source / "1.png").write_bytes(png("tomato"))
    (source / "more" / "2.png").write_bytes(png("teal"))
    (tmp_path / "secret.png").write_bytes(png("black"))
    return source


def of_library(site, name="collected", *records, **facts):
    return add_library(site.studio, name, *(records or (RECORD,)), **facts)


def key_of(site, account, role=Role.MAKER):
    return {"Authorization": f"Bearer {site.studio.accounts.add_key(account, role)[1]}"}


def test_an_empty_page_says_what_to_do_and_adds_examples(site):
    page = site.page("/discover")
    assert "No prompts yet" in text_of(page) and not page.xpath("//input[@name='q']")
    (place,) = page.xpath("//main//form[@method='post']/@action")
    assert site.client.post(place).headers["location"] == "/discover"
    page = site.page("/discover")
    assert len(cards(page)) == SHOWN and f"{EXAMPLES:,}" in text_of(page)
    assert site.client.post(place).status_code == 303, "once more changes nothing"
    (library,) = site.studio.discover.list(Caller())
    assert library.prompts == EXAMPLES and len(set(prompts(page))) == SHOWN


def test_without_a_library_own_images_are_searched_and_a_library_is_offered(site):
    add_image(site.studio, "a cat in a hat")
    page = site.page("/discover?q=cat")
    assert prompts(page) == ["a cat in a hat"] and "There is no library of prompts yet" in text_of(page)
    assert page.xpath("//form[@action='/discover/examples']//button")
    of_library(site)
    assert "There is no library" not in text_of(site.page("/discover?q=cat"))


def test_only_admins_add_examples(guarded):
    assert guarded.client.post("/discover/examples", headers=key_of(guarded, "ann")).status_code == 403
    page = guarded.page("/discover", headers=key_of(guarded, "bob"))
    assert "Ask the person who runs this studio" in text_of(page) and not page.xpath("//main//form")


def test_a_card_shows_why_it_fits_its_settings_and_its_origin(site):
    of_library(site, licence="CC0-1.0")
    (card,) = cards(site.page("/discover?q=a+corgi+at+the+beach"))
    shown = text_of(card)
    for text in (CORGI, "Without: blurry, text", "has: corgi, beach", "SDXL · 512 x 768 · 30 steps · guidance 7.5"):
        assert text in shown
    assert "collected · CC0-1.0" in shown and "★★★★" in shown
    (card,) = cards(site.page("/discover?q=a+puppy+by+the+sea"))
    assert "similar" in text_of(card) and "has:" not in text_of(card)
    (card,) = cards(site.page("/discover"))
    assert "similar" not in text_of(card) and "has:" not in text_of(card)


def test_a_prompt_is_used_alone_with_its_settings_or_for_variations(site):
    of_library(site)
    (card,) = cards(site.page("/discover"))
    words = {"prompt": CORGI, "negative_prompt": "blurry, text"}
    assert query_of(action(card, "Use this prompt")) == words
    settings = {"steps": "30", "guidance": "7.5", "width": "512", "height": "768", "seed": "11", "scheduler": "ddim"}
    assert query_of(action(card, "With its settings")) == words | settings, "SDXL is no model of this machine"
    assert query_of(action(card, "Vary: four images")) == words | {"count": "4"}
    form = site.page(action(card, "With its settings"))
    assert form.xpath("//textarea[@name='prompt']")[0].text.strip() == CORGI
    assert form.xpath("//textarea[@name='negative_prompt']")[0].text.strip() == "blurry, text"
    assert form.xpath("//input[@name='steps']/@value") == ["30"] and not form.xpath("//main//*[@class='error'][text()]")
    alike = site.page(action(card, "More like this"))
    assert alike.xpath("//input[@type='search']/@value") == [CORGI] and prompts(alike) == [CORGI]


def test_settings_that_create_refuses_are_left_out(site):
    strange = PromptRecord("a cat", width=9000, height=2, steps=5000, guidance=900.0, seed=2**62, sampler="k_euler_x")
    of_library(site, "collected", strange, PromptRecord("a dog"))
    found = {text_of(each.xpath(".//h2")[0]): each for each in cards(site.page("/discover"))}
    assert query_of(action(found["a cat"], "With its settings")) == {"prompt": "a cat", "seed": str(2**62)}
    assert "With its settings" not in text_of(found["a dog"])


def test_own_images_are_cards_with_their_image_and_settings(site):
    image = add_image(site.studio, "a cat in a hat", steps=7, negative_prompt="dogs", seed=3)
    (card,) = cards(site.page("/discover?q=hat"))
    assert "your own images" in text_of(card)
    assert site.client.get(card.xpath(".//img/@src")[0]).headers["content-type"] == "image/webp"
    settings = query_of(action(card, "With its settings"))
    assert {
        "prompt": "a cat in a hat",
        "steps": "7",
        "negative_prompt": "dogs",
        "seed": "3",
    }.items() <= settings.items()
    assert "a cat in a hat" in text_of(site.page(f"/discover/prompts/history/{image}"))
    site.client.post("/gallery/erase", data={"id": str(image)})
    assert not cards(site.page("/discover?q=hat")), "it is being erased"
    assert site.client.get(f"/discover/prompts/history/{image}").status_code == 404


def test_images_of_the_command_line_are_cards_without_an_image(site):
    image = add_image(site.studio, "a cat in a hat")
    from sqlalchemy import update

    from limner.store.tables import ArtifactRow

    with site.studio.store.session() as session:
        session.execute(update(ArtifactRow).where(ArtifactRow.id == image).values(reference=None, details={}))
        session.commit()
    page = site.page("/discover?q=hat")
    assert prompts(page) == ["a cat in a hat"] and not page.xpath("//main//img")


def test_filters_narrow_and_are_left_out_one_by_one(site):
    of_library(site, "collected", RECORD, PromptRecord("a castle", width=512, height=512, steps=20), "a plain prompt")
    add_library(site.studio, "other", "of another library")
    page = site.page("/discover?q=&size=portrait&steps=20-40&guidance=5-8&stars=4&model=xl&library=collected")
    assert prompts(page) == [CORGI]
    fields = {"Size", "Model", "Steps", "Guidance", "Stars", "From"}
    for link in page.xpath("//ul[@class='conditions']//a[@aria-label]"):
        title = link.get("aria-label").removeprefix("Without the condition ").partition(":")[0]
        fields.remove(title)
        left = query_of(link.get("href"))
        assert len(left) == 5 and ("library" if title == "From" else title.lower()) not in left
    assert not fields
    assert page.xpath("//select[@name='size']/option[@selected]/@value") == ["portrait"]
    assert page.xpath("//input[@name='library'][@checked]/@value") == ["collected"]
    assert page.xpath("//details[contains(@class, 'filters')]/@open")
    assert prompts(site.page("/discover?library=other")) == ["of another library"]
    nothing = site.page("/discover?q=castle&stars=5")
    assert "Nothing fits" in text_of(nothing) and action(nothing, "Search without filters") == "/discover?q=castle"


WRONG = {
    "steps=x": "steps", "steps=9-2": "steps", "size=round": "size", "stars=9": "stars", "unsafe=perhaps": "unsafe",
    "library=nosuch": "library", f"q={'a' * 10_001}": "q",
}  # fmt: skip


def test_what_is_wrong_with_a_filter_stands_at_its_field(site):
    of_library(site)
    for query, field in WRONG.items():
        response = site.client.get(f"/discover?{query}")
        page = tree(response)
        (error,) = page.xpath("//*[@role='alert'][text()]")
        assert response.status_code == 422 and error.get("id") == f"discover-{field}-error" and text_of(error), query
        assert page.xpath("//details[contains(@class, 'filters')]/@open"), "the message is seen"
        assert prompts(page) == [CORGI] or field == "library"


def test_a_missing_package_is_named_on_the_page(site, monkeypatch):
    def missing(texts):
        raise LimnerError("search by meaning needs the package wordllama, which is missing", "install it")

    of_library(site)
    monkeypatch.setattr(site.studio.discover._encoders, "texts", missing)
    response = site.client.get("/discover?q=cat")
    (error,) = tree(response).xpath("//main//*[@role='alert'][text()]")
    assert response.status_code == 422 and "wordllama, which is missing; install it" in text_of(error)
    assert "Nothing fits" not in response.text and tree(response).xpath("//input[@type='search']/@value") == ["cat"]


def test_unsafe_prompts_are_hidden_until_they_are_asked_for(site):
    of_library(site, "collected", PromptRecord("a naked corgi", unsafe=True), "a corgi")
    assert prompts(site.page("/discover?q=corgi")) == ["a corgi"]
    page = site.page("/discover?q=corgi&unsafe=true")
    assert sorted(prompts(page)) == ["a corgi", "a naked corgi"] and "marked as unsafe" in text_of(page)


def test_more_prompts_are_a_page_of_their_own_or_join_the_list(site):
    texts = [f"a lamp number {number}" for number in range(2 * SHOWN + 5)]
    of_library(site, "lamps", *texts)
    page, found = site.page("/discover?q=lamp"), []
    while True:
        found += prompts(page)
        (following,) = page.xpath("//a[@rel='next']") or (None,)
        if following is None:
            break
        part = site.client.get(following.get("hx-get"), headers=PART)
        page = site.page(following.get("href"))
        assert "<html" not in part.text and prompts(tree(part)) == prompts(page)
        assert page.xpath("//a[@rel='prev']")
    assert sorted(found) == sorted(texts)
    assert "No more prompts" in text_of(site.page("/discover?q=lamp&start=9999"))


def test_images_in_the_folder_of_a_library_are_shown_small(site, tmp_path):
    source = folder_of(tmp_path)
    of_library(
        site,
        "collected",
        PromptRecord("one", image="1.png"),
        PromptRecord("two", image=str(source / "more" / "2.png")),
        source=source,
    )
    found = {text_of(each.xpath(".//h2")[0]): each.xpath(".//img/@src") for each in cards(site.page("/discover"))}
    for prompt, (place,) in found.items():
        response = site.client.get(place)
        assert response.headers["content-type"] == "image/webp" and "private" in response.headers["cache-control"]
        picture = Image.open(io.BytesIO(response.content))
        red, _, blue = picture.convert("RGB").getpixel((5, 5))
        assert picture.size == (320, 240) and (red > blue) is (prompt == "one")
        assert site.client.get(place, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert site.client.get(f"{place}?side=99").status_code == 404
    before = site.client.get(found["one"][0]).content
    (source / "1.png").write_bytes(png("navy", (64, 64)))
    assert site.client.get(found["one"][0]).content != before, "a changed file is read again"


def test_images_beside_a_table_are_shown(site, tmp_path):
    source = folder_of(tmp_path)
    (source / "prompts.csv").write_text("prompt,image\none,1.png\n")
    of_library(site, "collected", PromptRecord("one", image="1.png"), source=source / "prompts.csv")
    (place,) = cards(site.page("/discover"))[0].xpath(".//img/@src")
    assert site.client.get(place).status_code == 200


PLACES = [
    "../secret.png", "more/../../secret.png", "{parent}/secret.png", "link.png", "folder/secret.png", "a\0.png",
    "https://example.com/1.png", "http://127.0.0.1/1.png", "//example.com/1.png", "file:///etc/passwd",
    "/etc/passwd", "notes.txt", "broken.png", "large.png", "more", "no.png", "~/1.png", "x" * 4000 + ".png",
]  # fmt: skip


def test_no_other_file_or_address_is_read(site, tmp_path, monkeypatch):
    source = folder_of(tmp_path)
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    (source / "folder").symlink_to(tmp_path)
    (source / "notes.txt").write_text("private")
    (source / "broken.png").write_bytes(b"\x89PNG broken")
    (source / "large.png").write_bytes(png("white", (400, 400)))
    monkeypatch.setattr(library_images, "LARGEST", 900)
    images = [image.replace("{parent}", str(tmp_path)) for image in PLACES]
    of_library(
        site, "collected", *(PromptRecord(f"a {at}", image=image) for at, image in enumerate(images)), source=source
    )
    shown = [text_of(card.xpath(".//h2")[0]) for card in cards(site.page("/discover")) if card.xpath(".//img")]
    assert shown in ([], [f"a {PLACES.index('broken.png')}"])
    for number, image in enumerate(images, 1):
        response = site.client.get(f"/discover/images/collected/{number}/0.webp")
        assert response.status_code == 404 and str(tmp_path) not in response.text, image
    assert not list(site.studio.home.rglob("*.webp"))


def test_a_library_without_a_folder_shows_no_images(site, tmp_path, monkeypatch):
    folder_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative").mkdir()
    (tmp_path / "relative" / "1.png").write_bytes(png())
    sources = ["made by Limner", "owner/name", "", "relative", "/nosuch/folder", "https://example.com/"]
    for number, source in enumerate(sources):
        of_library(site, f"of-{number}", PromptRecord(f"a {number}", image="1.png"), source=source)
        for place in ("1/0", "1/7", "2/0"):
            assert site.client.get(f"/discover/images/of-{number}/{place}.webp").status_code == 404, source
    page = site.page("/discover")
    assert len(cards(page)) == len(sources) and not page.xpath("//main//img")
    for place in ("nosuch/1/0", "history/1/0"):
        assert site.client.get(f"/discover/images/{place}.webp").status_code == 404


def test_parts_are_fields_and_the_changed_prompt_is_shown(site):
    of_library(site)
    page = site.page(PLACE)
    fields = {
        text_of(each.xpath("label")[0]): each.xpath("input")[0] for each in page.xpath("//li[contains(@class, 'part')]")
    }
    assert {name: field.get("value") for name, field in fields.items()} == {
        "Medium": "photo", "Subject": "a corgi", "Setting": "on a beach", "Light": "soft light"
    }  # fmt: skip
    values = {field.get("name"): field.get("value") for field in fields.values()}
    values[fields["Light"].get("name")] = "neon light"
    values[fields["Setting"].get("name")] = " "
    page = tree(site.client.post(PLACE, data={**values, "do": "change"}))
    wanted = "a photo of a corgi, neon light"
    assert page.xpath("//*[@class='prompt-text']/text()") == [wanted]
    assert query_of(action(page, "Use the changed prompt"))["prompt"] == wanted
    assert page.xpath("//li[contains(@class, 'lighting')]/input/@value") == ["neon light"]
    part = site.client.post(PLACE, data=values, headers=PART)
    assert "<html" not in part.text and wanted in part.text


def test_words_for_a_part_are_those_of_prompts_found(site):
    others = (
        "a cat, soft window light",
        "a castle, golden hour",
        "a boat, Soft Window Light",
        "a mug, studio lighting",
        "a soft toy",
    )
    of_library(site, "collected", RECORD, *others)
    page = site.page(PLACE)
    (field,) = page.xpath("//li[contains(@class, 'lighting')]/input")
    answer = site.client.post(field.get("hx-post"), data={field.get("name"): "soft"}, headers=PART)
    words = tree(answer).xpath("//button[@data-for]/@value")
    assert [each.lower() for each in words[:2]] == ["soft window light", "soft light"], "the more frequent first"
    assert {"golden hour", "studio lighting"} <= set(words) and "a cat" not in words
    found = words_of_part(site.studio.discover, Caller(), "lighting", "soft", filters=Filters(libraries=("history",)))
    assert found == []


def test_suggested_words_are_written_as_those_that_they_replace(site):
    texts = ("A red fox on a hill, soft light", "a red fox on a hill, soft light", "The Beatles on a street, fog")
    of_library(site, "collected", *texts)
    words = words_of_part(site.studio.discover, Caller(), "subject", "a red cat")
    assert "a red fox" in words and "the Beatles" in words and "A red fox" not in words
    assert "A red fox" in words_of_part(site.studio.discover, Caller(), "subject", "A red cat")


def test_names_of_artists_are_flagged_and_can_be_left_out(site):
    of_library(site, "collected", "a photo of a corgi, soft light, by Greg Rutkowski")
    page = site.page(PLACE)
    (notice,) = page.xpath("//*[@class='artists']")
    assert "It names an artist: Greg Rutkowski." in text_of(notice)
    assert query_of(action(notice, "Use it without the name"))["prompt"] == "a photo of a corgi, soft light"
    (name,) = page.xpath("//li[contains(@class, 'artist')]/input/@name")
    (place,) = page.xpath("//li[contains(@class, 'artist')]/input/@hx-post")
    answer = tree(site.client.post(place, data={name: "Greg"}, headers=PART))
    assert answer.xpath("//hx-partial") and not answer.xpath("//button[@data-for]"), "no name is offered"
    changed = tree(site.client.post(PLACE, data={name: ""}))
    assert not changed.xpath("//*[@class='artists']")


def test_only_the_style_is_used_with_something_else(site):
    of_library(site)
    response = site.client.post(PLACE, data={"do": "style", "idea": "a red mug"})
    assert response.status_code == 303 and urlsplit(response.headers["location"]).path == "/create"
    assert query_of(response.headers["location"]) == {
        "prompt": "a photo of a red mug, soft light",
        "negative_prompt": "blurry, text",
    }
    refused = site.client.post(PLACE, data={"do": "style", "idea": " ", "piece-3": "neon light"})
    page = tree(refused)
    assert refused.status_code == 422 and "nothing is said" in text_of(page.xpath("//*[@id='idea-error']")[0])
    assert page.xpath("//input[@id='piece-3']/@value") == ["neon light"], "what was typed is kept"


def test_my_subject_takes_the_place_of_the_subject_with_its_adapter(site):
    of_library(site)
    assert "You have not taught anything yet" in text_of(site.page(PLACE))
    adapter = teach(site)
    page = site.page(PLACE)
    (value,) = page.xpath("//select[@name='subject']/option/@value")
    assert value == adapter
    response = site.client.post(PLACE, data={"do": "subject", "subject": value, "piece-3": "neon light"})
    wanted = {
        "prompt": "a photo of sks cat on a beach, neon light",
        "negative_prompt": "blurry, text",
        "adapter": adapter,
    }
    assert query_of(response.headers["location"]) == wanted
    form = site.page(response.headers["location"])
    assert form.xpath("//input[@name='subject'][@checked]/@value") == [adapter]
    for wrong in ("", "folder:" + "0" * 64, HOSTILE):
        refused = site.client.post(PLACE, data={"do": "subject", "subject": wrong})
        assert refused.status_code == 422 and "no subject is chosen" in text_of(tree(refused))


@pytest.mark.slow
def test_a_prompt_too_long_for_an_address_is_copied(site):
    long = ", ".join(f"a lamp number {number}" for number in range(1000))[:19_000]
    of_library(site, "collected", long)
    (card,) = cards(site.page("/discover"))
    assert "Use this prompt" not in text_of(card) and len(action(card, "More like this")) < 1000
    page = site.page(PLACE)
    assert page.xpath("//pre[@class='copyable']/text()") == [long]
    assert len(page.xpath("//li[contains(@class, 'part')]")) <= MOST_PIECES
    refused = site.client.post(PLACE, data={"do": "style", "idea": "x" * 2000})
    assert refused.status_code in (303, 422)


FIELDS = [pytest.param(name, marks=pytest.mark.slow) for name in ("negative", "model", "sampler", "adapter", "licence")]


@pytest.mark.parametrize("field", ["prompt", "query", *FIELDS])
def test_hostile_texts_are_shown_as_text(site, field):
    facts = {field: HOSTILE} if field in ("negative", "model", "sampler", "adapter") else {}
    prompt = HOSTILE if field == "prompt" else "a corgi"
    of_library(site, "collected", PromptRecord(prompt, **facts), licence=HOSTILE if field == "licence" else "")
    params = {"q": HOSTILE, "library": "collected"} if field == "query" else {}
    for place in ("/discover", PLACE, f"{PLACE}?back=%3Fq%3D%22%3E%3Cscript%3E"):
        page = site.page(place, params=params if place == "/discover" else None)
        assert not page.xpath("//script[not(@src)] | //img[@src='x'] | //*[@onerror]"), place
    changed = site.client.post(PLACE, data={"piece-0": HOSTILE, "idea": HOSTILE}, headers=PART)
    assert not tree(changed).xpath("//script | //img[@src='x'] | //*[@onerror]")
    if field == "prompt":
        page = site.page("/discover")
        assert HOSTILE in page.text_content() and "49" not in prompts(page)[0]
        assert query_of(action(cards(page)[0], "Use this prompt"))["prompt"] == HOSTILE


def test_the_way_back_leads_to_the_search_only(site):
    of_library(site)
    for back in ("//example.com", "https://example.com", "javascript:alert(1)", "?q=" + "a" * 5000):
        page = site.page(PLACE, params={"back": back})
        assert page.xpath("//a[@data-key='Escape']/@href") == ["/discover"], back
    page = site.page(PLACE, params={"back": "?q=cat"})
    assert page.xpath("//a[@data-key='Escape']/@href") == ["/discover?q=cat"]


@pytest.mark.slow
def test_a_long_search_is_not_repeated_in_every_link(site):
    of_library(site, "collected", *(f"a lamp number {number}" for number in range(SHOWN)))
    assert len(site.client.get(f"/discover?q={'lamp ' * 1900}").text) < 200_000


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("model", "steps", "library", "start", "unsafe")]


@pytest.mark.parametrize("name", ["q", *SLOW])
def test_hostile_searches_show_a_page(site, name):
    of_library(site, "collected", RECORD, HOSTILE)
    for query in QUERIES:
        response = site.client.get("/discover", params={name: query})
        assert response.status_code in (200, 422) and len(tree(response).xpath("//h1")) == 1, query[:40]


@pytest.mark.slow
def test_hostile_pieces_are_shown(site):
    of_library(site, "collected", RECORD, HOSTILE)
    for query in QUERIES:
        data = {"piece-0": query, "subject": query, "do": "change"}
        assert site.client.post(f"{PLACE}?at=0", data=data, headers=PART).status_code == 200, query[:40]


def test_accounts_see_their_own_and_shared_libraries(guarded):
    site = guarded
    ann, bob = key_of(site, "ann"), key_of(site, "bob")
    add_library(site.studio, "shared", "a corgi of all")
    add_library(site.studio, "of-ann", "a corgi of ann's library", owner="ann")
    image = add_image(site.studio, "a corgi of ann", owner="ann")
    assert set(prompts(site.page("/discover?q=corgi", headers=ann))) == {
        "a corgi of all",
        "a corgi of ann's library",
        "a corgi of ann",
    }
    page = site.page("/discover?q=corgi", headers=bob)
    assert prompts(page) == ["a corgi of all"] and "of-ann" not in text_of(page)
    for place in ("of-ann/1", f"history/{image}"):
        assert site.client.get(f"/discover/prompts/{place}", headers=ann).status_code == 200
        for method in ("GET", "POST"):
            assert site.client.request(method, f"/discover/prompts/{place}", headers=bob).status_code == 404
    words = words_of_part(site.studio.discover, Caller(account="bob", role=Role.MAKER), "subject", "corgi")
    assert not any("ann" in each for each in words)


def test_a_viewer_changes_prompts_and_nothing_else(guarded):
    of_library(guarded)
    viewer = key_of(guarded, "vic", Role.VIEWER)
    response = guarded.client.post(PLACE, data={"do": "style", "idea": "a mug"}, headers=viewer)
    assert response.status_code == 303
    assert guarded.client.post("/discover/examples", headers=viewer).status_code == 403


def test_home_leads_here(site):
    page = site.page("/")
    (link,) = [each for each in page.xpath("//ul[@class='entries']//a") if "Find inspiration" in text_of(each)]
    assert link.get("href") == "/discover"


def sent(site, place, content, name="photo.png", headers=None, **fields):
    return site.client.post(place, files={"like.file": (name, content)}, data=fields, headers=headers)


def test_a_picture_that_is_sent_finds_prompts_whose_pictures_look_like_it(site, starter):
    add_image(site.studio, "a red wall", "red")
    add_image(site.studio, "a blue wall", "blue")
    response = sent(site, "/discover", png("blue"), q="wall", steps="")
    query = query_of(response.headers["location"])
    assert response.status_code == 303 and query["like"].startswith("sha256:") and query["q"] == "wall"
    page = site.page(response.headers["location"])
    assert prompts(page)[0] == "a blue wall" and "looks 100% alike" in text_of(cards(page)[0])
    assert "has: wall" in text_of(cards(page)[0])
    (shown,) = page.xpath("//p[@class='sample']//img/@src")
    assert site.client.get(shown).headers["content-type"] == "image/webp"
    without = site.page(page.xpath("//a[@aria-label='Without the picture']/@href")[0])
    assert not without.xpath("//p[@class='sample']") and without.xpath("//input[@type='search']/@value") == ["wall"]
    alike = site.page(action(cards(page)[0], "Pictures like this"))
    assert prompts(alike) == ["a red wall"]


@pytest.mark.parametrize(("look", "reason"), [(None, ""), (-0.2, ""), (0.004, ""), (0.62, "looks 62% alike")])
def test_looks_that_are_not_alike_are_no_reason(look, reason, capsys):
    hit = Hit("history", 7, CORGI, "", (RECORD,), 1, (), None, "", "", look)
    assert why(hit) == reason
    print_hits([replace(hit, records=(replace(RECORD, image="7"),))])
    shown = capsys.readouterr().out
    assert ("alike" in shown) == bool(reason) and "guidance 7.5" in shown
    assert "\u00b7 7 \u00b7" not in shown, "the number of an own image names nothing to a reader"


def test_a_colour_is_chosen_and_left_out_again(site, starter):
    add_image(site.studio, "a red wall", colour_of("red"))
    add_image(site.studio, "a blue wall", colour_of("blue"))
    (red,) = site.page("/discover").xpath("//a[@class='tint'][@aria-label='red']/@href")
    page = site.page(red)
    assert prompts(page) == ["a red wall"] and "has this colour: 100%" in text_of(cards(page)[0])
    (chosen,) = page.xpath("//a[@class='tint'][@aria-current]/@href")
    assert len(prompts(site.page(chosen))) == 2
    own = site.page("/discover?colour=blue&q=wall")
    assert prompts(own) == ["a blue wall"] and own.xpath("//div[@class='looks']//circle[@fill='#1e62d0']")
    nothing = site.page("/discover?colour=%2300ff00")
    assert nothing.xpath("//*[text()='Nothing fits']") and "only prompts that have pictures" in text_of(nothing)


NO_PICTURES = {"": b"", "x.png": b"no image", "x.svg": b"<svg onload=alert(1)>", HOSTILE[:60]: b"\x89PNG\r\n\x1a\n"}


def test_what_is_no_picture_is_an_error_beside_the_button(site):
    add_image(site.studio, "a wall")
    for name, content in NO_PICTURES.items():
        response = sent(site, "/discover", content, name, q="wall")
        page = tree(response)
        assert response.status_code == 422 and text_of(page.xpath("//p[@id='looks-error']")[0]), name
        assert prompts(page) == ["a wall"] and not page.xpath("//script[contains(., 'alert')]"), name
        response = sent(site, "/gallery", content, name, search="wall", order="oldest")
        page = tree(response)
        assert response.status_code == 422 and text_of(page.xpath("//p[@id='looks-error']")[0]), name
        assert page.xpath("//input[@type='search']/@value") == ["wall"], name
        assert len(page.xpath("//virtual-gallery//a")) == 1, name


def test_photos_of_megabytes_are_sent_and_larger_ones_are_an_error_beside_the_button(home, starter):
    small = site_of(home, upload_bytes=4 * 2**20)
    add_image(small.studio, "a wall")
    photo = io.BytesIO()
    Image.effect_noise((1400, 1400), 80).save(photo, "PNG", compress_level=1)
    assert 2**20 < len(photo.getvalue()) < 4 * 2**20
    for place in ("/discover", "/gallery"):
        assert sent(small, place, photo.getvalue()).status_code == 303, place
        response = sent(small, place, bytes(5 * 2**20))
        (problem,) = tree(response).xpath("//p[@id='looks-error']")
        assert response.status_code == 422 and "larger than this service takes" in text_of(problem), place
    small.studio.close()


def test_a_picture_or_colour_that_is_not_there_is_named(site):
    add_image(site.studio, "a wall")
    for query in ("like=history/9", "like=nowhere/1", "like=sha256:0", "like=%3Cb%3E", "colour=reddish"):
        response = site.client.get(f"/discover?{query}")
        page = tree(response)
        assert response.status_code == 422 and page.xpath("//p[@role='alert']") and prompts(page) == ["a wall"], query


def test_the_gallery_is_searched_by_a_picture_and_a_colour(site, starter):
    red, blue = (add_image(site.studio, f"a {colour} wall", colour) for colour in ("red", "blue"))
    response = sent(site, "/gallery", png("blue"), search="wall", order="newest")
    page = site.page(response.headers["location"])
    assert query_of(response.headers["location"])["search"] == "wall"
    assert page.xpath("//virtual-gallery//a/@href")[0].startswith(f"/gallery/{blue}?")
    assert "Order: Closest" in text_of(page) and not page.xpath("//virtual-gallery/@data-days")
    listed = site.client.get("/gallery/ids?colour=%23ff0000").json()
    assert listed["ids"] == [red]
    (alike,) = site.page(f"/gallery/{red}").xpath("//a[text()='Images like this']/@href")
    assert site.client.get(alike).status_code == 200


def test_pictures_are_sent_by_those_who_may_store_them(guarded):
    viewer, maker = key_of(guarded, "vic", Role.VIEWER), key_of(guarded, "max")
    add_library(guarded.studio, "shared", "a corgi")
    assert not guarded.page("/discover", headers=viewer).xpath("//input[@type='file']")
    assert guarded.page("/discover", headers=maker).xpath("//input[@type='file']")
    assert sent(guarded, "/discover", png(), headers=viewer).status_code == 403


def test_the_picture_of_a_search_is_seen_while_filters_are_folded(site, starter):
    add_image(site.studio, "a blue wall", "blue")
    for place, form in (("/discover", "/discover"), ("/gallery", "/gallery")):
        page = site.page(sent(site, form, png("blue")).headers["location"])
        assert len(page.xpath("//p[@class='sample']")) == 1 and not page.xpath("//details//p[@class='sample']"), place

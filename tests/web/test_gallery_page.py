"""The gallery without a browser: pages, filters, marks, collections, comparison, export, erasure, and accounts."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from sqlalchemy import update

from gallery import add_image, add_run
from limner.core.accounts import Role
from limner.core.feedback import ImageQuery, Rating
from limner.core.requests import GenerateRequest
from limner.store.tables import ImageIndexRow
from limner.studio.images import Viewer
from limner.web.gallery import day_text
from limner.web.pages.gallery import MOST_CHOSEN, MOST_TILES, SHOWN
from pages import PART, text_of, tree

VIEW = Viewer(stored=True)
HOSTILE = "<script>alert(1)</script>\"' ../../x {{ 7*7 }}"


def ids_in(page):
    return [int(value) for value in page.xpath("//li[contains(@class, 'cell')]/@data-id")]


def link(page, text):
    (found,) = [each for each in page.xpath("//main//a") if text_of(each) == text]
    return found.get("href")


def all_ids(site, query=""):
    found = site.client.get(f"/gallery/ids{query}").json()
    total, ids = 0, []
    for step in found["ids"]:
        total += step
        ids.append(total)
    assert len(found["colours"]) == 3 * len(ids)
    return ids


def choose(site, place, headers=None, **fields):
    return site.client.post(place, data=fields, headers=headers or {})


def key_of(site, account, role="maker"):
    return {"Authorization": f"Bearer {site.studio.accounts.add_key(account, Role(role))[1]}"}


def test_an_empty_gallery_says_what_to_do_first(site):
    page = site.page("/gallery")
    assert "No images yet" in page.text_content() and link(page, "Create the first image") == "/create"
    assert not page.xpath("//form[@id='selection']")


def test_a_page_has_tiles_with_links_to_the_next_and_back(site):
    made = [add_image(site.studio, f"a cat {number}") for number in range(3)]
    run = site.studio.runs.get(site.studio.images.get(VIEW, made[0]).run)
    made += [add_image(site.studio, run=run) for _ in range(SHOWN)]
    newest = made[::-1]
    first = site.page("/gallery")
    assert ids_in(first) == newest[:SHOWN] and not first.xpath("//a[@rel='prev']")
    second = site.page(first.xpath("//a[@rel='next']/@href")[0])
    assert ids_in(second) == newest[SHOWN:] and not second.xpath("//a[@rel='next']")
    assert ids_in(site.page(second.xpath("//a[@rel='prev']/@href")[0])) == newest[:SHOWN]
    assert all_ids(site) == newest and f"{len(made)} images" in text_of(first)


def test_tiles_are_thumbnails_that_stay_cached_under_the_hash_of_the_image(site):
    image = add_image(site.studio, size=(1000, 500), colour="#336699")
    assert all_ids(site) and site.client.get("/gallery/ids").json()["colours"] == "---"
    place = site.page("/gallery").xpath("//li//img/@src")[0]
    response = site.client.get(place)
    assert response.headers["content-type"] == "image/webp" and "immutable" in response.headers["cache-control"]
    assert "private" in response.headers["cache-control"]
    assert Image.open(io.BytesIO(response.content)).size == (160, 80)
    assert site.client.get(place, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert site.client.get("/gallery/ids").json()["colours"] == "369"
    sha256 = site.studio.images.get(VIEW, image).sha256
    assert Image.open(io.BytesIO(site.client.get(f"/thumbnails/512/{sha256}.webp").content)).size == (512, 256)
    for wrong in (f"/thumbnails/100/{sha256}.webp", f"/thumbnails/160/{'0' * 64}.webp"):
        assert site.client.get(wrong).status_code == 404, wrong


def test_ids_are_compressed_for_browsers_that_take_it(site):
    add_image(site.studio)
    assert site.client.get("/gallery/ids", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in site.client.get("/gallery/ids", headers={"Accept-Encoding": "br"}).headers


def test_newer_images_of_the_query_are_counted(site):
    one, _, two = (add_image(site.studio, prompt) for prompt in ("a cat", "a dog", "a cat"))
    for query, wanted in {f"after={one}": 2, f"after={one}&search=cat&order=oldest": 1, f"after={two}": 0}.items():
        assert site.client.get(f"/gallery/newer?{query}").json() == wanted, query


def test_tiles_are_described_by_their_ids_in_order(site):
    one, two = add_image(site.studio, "a cat"), add_image(site.studio, HOSTILE)
    site.studio.feedback.set_favourite(VIEW, one, True)
    site.studio.feedback.rate(VIEW, two, Rating(stars=4))
    found = site.client.get(f"/gallery/tiles?ids={two},{one},999999,99999999999").status_code
    assert found == 422
    found = site.client.get(f"/gallery/tiles?ids={two},{one},999999,9999999999").json()
    assert [(each["id"], each["stars"], each["favourite"]) for each in found] == [(two, 4, False), (one, 0, True)]
    assert found[0]["prompt"] == HOSTILE
    assert len(site.client.get("/gallery/tiles?ids=" + ",".join([str(one)] * (MOST_TILES + 5))).json()) == MOST_TILES


def test_images_are_found_by_meaning_the_closest_first(site):
    puppy = add_image(site.studio, "a young dog running along the beach")
    boat = add_image(site.studio, "a sailing boat on the ocean")
    tower = add_image(site.studio, "a skyscraper of glass and steel", model="sdxl")
    assert ids_in(site.page("/gallery?search=puppy by the sea")) == []
    offered = link(site.page("/gallery?search=puppy by the sea"), "Similar meaning too")
    page = site.page(offered)
    assert ids_in(page)[0] == puppy == all_ids(site, offered.removeprefix("/gallery"))[0]
    assert tower not in ids_in(page) and page.xpath("//input[@type='search']/@name") == ["meaning"]
    assert "search=puppy" in link(page, "These words only")
    assert ids_in(site.page("/gallery?meaning=skyscraper&model=sdxl")) == [tower]
    assert ids_in(site.page("/gallery?meaning=skyscraper&model=starter")) == []
    assert ids_in(site.page("/gallery?meaning=boat&order=oldest"))[-1] == boat
    late = add_image(site.studio, "a puppy at the sea shore")
    assert late in ids_in(site.page("/gallery?meaning=puppy by the sea")), "what was made meanwhile is found"
    found = site.client.get("/v1/pictures", params={"meaning": "puppy by the sea"}).json()
    assert {found[0]["id"], found[1]["id"]} == {late, puppy}


def test_a_search_by_meaning_finds_images_of_the_account_only(guarded):
    ann = add_image(guarded.studio, "a young dog on the beach", owner="ann")
    ben = add_image(guarded.studio, "a young dog on the beach", owner="ben")
    for name, mine in (("ann", ann), ("ben", ben)):
        _, key = guarded.studio.accounts.add_key(name, Role.MAKER)
        page = tree(guarded.client.get("/gallery?meaning=puppy", headers={"Authorization": f"Bearer {key}"}))
        assert ids_in(page) == [mine]


def test_search_and_filters_combine_and_are_undone_one_by_one(site):
    tall = add_image(site.studio, "a black cat", size=(240, 320), model="starter")
    add_image(site.studio, "a white cat", size=(320, 240), model="starter")
    other = add_image(site.studio, "a black cat", size=(240, 320), model="sdxl")
    page = site.page("/gallery?search=BLACK")
    assert ids_in(page) == [other, tall] == all_ids(site, "?search=BLACK")
    assert page.xpath("//input[@type='search']/@value") == ["BLACK"]
    narrower = site.page(link(page, "sdxl 1"))
    assert ids_in(narrower) == [other] and "search=BLACK" in link(page, "sdxl 1")
    assert ids_in(site.page(link(narrower, "sdxl 1"))) == [other, tall]
    assert ids_in(site.page(link(narrower, "starter 1"))) == [tall]
    hidden = dict(
        zip(
            *(narrower.xpath(f"//form[@role='search']//input[@type='hidden']/@{n}") for n in ("name", "value")),
            strict=True,
        )
    )
    assert hidden == {"model": "sdxl"}
    assert ids_in(site.page(link(site.page("/gallery"), "240 x 320 2"))) == [other, tall]
    nothing = site.page("/gallery?search=dog")
    assert not ids_in(nothing) and link(nothing, "Show all images") == "/gallery"


def test_tags_are_filters_one_value_of_each(site):
    corgi = add_image(site.studio, tags={"species": "dog", "breed": "corgi", "background": "park"})
    beagle = add_image(site.studio, tags={"species": "dog", "breed": "beagle", "background": "park"})
    tabby = add_image(site.studio, tags={"species": "cat", "breed": "tabby", "background": "beach"})
    page = site.page("/gallery")
    titles = [text_of(each) for each in page.xpath("//details[@name='narrow']/summary")]
    assert [each for each in titles if each in ("Species", "Breed", "Background")] == ["Species", "Breed", "Background"]
    dogs = site.page(link(page, "dog 2"))
    assert ids_in(dogs) == [beagle, corgi] == all_ids(site, "?tag=species%3Ddog")
    one = site.page(link(dogs, "corgi 1"))
    assert ids_in(one) == [corgi]
    hidden = one.xpath("//form[@role='search']//input[@name='tag']/@value")
    assert hidden == ["species=dog", "breed=corgi"], "a search keeps each of them"
    assert ids_in(site.page(link(one, "beagle 1"))) == [beagle], "another breed takes the place of the first"
    assert ids_in(site.page(link(one, "corgi 1"))) == [beagle, corgi], "a chosen one is chosen off"
    assert [each["id"] for each in site.client.get("/v1/pictures?tag=background=beach").json()] == [tabby]
    assert site.client.get("/v1/pictures?tag=beach").status_code == 422


def test_stars_favourites_dates_and_orders(site):
    one, two, three = (add_image(site.studio, f"a cat {number}") for number in range(3))
    site.studio.feedback.rate(VIEW, one, Rating(stars=5))
    site.studio.feedback.rate(VIEW, two, Rating(stars=3))
    site.studio.feedback.set_favourite(VIEW, two, True)
    page = site.page("/gallery")
    assert ids_in(site.page(link(page, "5 stars 1"))) == [one]
    assert ids_in(site.page(link(page, "3 and more 2"))) == [two, one]
    assert ids_in(site.page(link(page, "not rated 1"))) == [three]
    assert ids_in(site.page(link(page, "♥ Favourites 1"))) == [two]
    for label, wanted in {
        "Oldest": [one, two, three],
        "Best rated": [one, two, three],
        "Favourites first": [two, three, one],
    }.items():
        assert ids_in(site.page(link(page, label))) == wanted, label
    month = f"{site.studio.images.get(VIEW, one).created:%Y-%m}"
    assert all_ids(site, f"?month={month}") == [three, two, one] and all_ids(site, "?month=1999-12") == []


@pytest.mark.parametrize("query", ["?order=colour", "?month=2026-13", "?start=-1", "?at_least=9", "?colour=reddish"])
def test_an_invalid_address_is_an_error_page(site, query):
    response = site.client.get(f"/gallery{query}")
    assert response.status_code == 422 and tree(response).xpath("//*[@role='alert']")


@pytest.mark.parametrize("headers", [{}, PART])
def test_chosen_images_are_marked_and_the_mark_is_undone(site, headers):
    one, two = add_image(site.studio), add_image(site.studio)
    response = choose(site, "/gallery/mark", headers, id=[str(one)], ids=f"{two}", do="favourite")
    assert response.status_code == 200 and "2 images are added to your favourites" in text_of(tree(response))
    assert all_ids(site, "?favourite=true") == [two, one]
    form = tree(response).xpath("//form[.//button[text()='Undo']]")[0]
    fields = dict(zip(form.xpath(".//input/@name"), form.xpath(".//input/@value"), strict=True))
    assert choose(site, form.get("action"), headers, **fields).status_code == 200
    assert all_ids(site, "?favourite=true") == []


def test_stars_of_many_images_are_undone_to_what_they_were(site):
    one, two, three = (add_image(site.studio) for _ in range(3))
    site.studio.feedback.rate(VIEW, two, Rating(stars=2))
    site.studio.feedback.rate(VIEW, three, Rating(stars=5))
    page = tree(choose(site, "/gallery/mark", PART, ids=f"{one} {two} {three}", do="stars", stars="5"))
    assert "2 images have 5 stars now" in text_of(page)
    assert page.xpath("//*[@data-changed]/@data-changed") == [f"{one} {two}"]
    fields = dict(zip(page.xpath("//input/@name"), page.xpath("//input/@value"), strict=True))
    assert fields == {"do": "restore", "was": f"{one}:0 {two}:2"}
    choose(site, "/gallery/mark", PART, **fields)
    mine = [site.studio.images.get(VIEW, image).mine for image in (one, two, three)]
    assert [rating and rating.stars for rating in mine] == [None, 2, 5]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"do": "favourite"}, "no image is chosen; choose at least one"),
        ({"do": "favourite", "ids": "1 x"}, "'x' is not the id of an image"),
        ({"do": "favourite", "ids": "999"}, "there is no image 999"),
        ({"do": "shred", "ids": "1"}, "do 'shred'"),
        ({"do": "stars", "stars": "6", "ids": "1"}, "stars '6'"),
        ({"do": "restore", "was": "1:9"}, "was '1:9'"),
        ({"do": "collect", "ids": "1"}, "no collection is chosen"),
        ({"do": "collect", "ids": "1", "collection": "77"}, "there is no collection 77"),
        ({"do": "favourite", "ids": " ".join(map(str, range(MOST_CHOSEN + 1)))}, "2,001 images are chosen"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(site, fields, problem):
    add_image(site.studio)
    for headers in ({}, PART):
        response = choose(site, "/gallery/mark", headers, **fields)
        assert 400 <= response.status_code < 500
        assert problem in text_of(tree(response).xpath("//*[@role='alert']")[0])


def test_collections_are_made_filled_emptied_and_deleted(site):
    one, two = add_image(site.studio), add_image(site.studio)
    made = choose(site, "/gallery/collections", name="Summer")
    assert made.status_code == 303
    place = made.headers["location"]
    number = place.rpartition("=")[2]
    done = choose(site, "/gallery/mark", PART, ids=f"{one} {two}", do="collect", collection=number)
    assert "2 images are added to “Summer”" in text_of(tree(done))
    page = site.page(place)
    assert ids_in(page) == [two, one] and text_of(page.xpath("//h1")[0]) == "Summer"
    choose(site, "/gallery/mark", PART, ids=f"{one}", do="uncollect", collection=number)
    assert ids_in(site.page(place)) == [two]
    deleted = choose(site, f"/gallery/collections/{number}/delete")
    assert "Summer" in text_of(tree(deleted)) and not site.studio.collections.list(VIEW)
    form = tree(deleted).xpath("//form[.//button[text()='Undo']]")[0]
    back = choose(
        site, form.get("action"), **dict(zip(form.xpath(".//input/@name"), form.xpath(".//input/@value"), strict=True))
    )
    assert ids_in(site.page(back.headers["location"])) == [two]
    choose(site, "/gallery/mark", ids=f"{one}", do="collect", name="Winter")
    assert {each.name: each.pictures for each in site.studio.collections.list(VIEW)} == {"Summer": 1, "Winter": 1}
    taken = choose(site, "/gallery/collections", name="Winter")
    assert taken.status_code == 422 and "there is a collection 'Winter' already" in text_of(tree(taken))


def test_the_page_of_an_image_has_all_that_is_known_of_it(site):
    run = add_run(site.studio, GenerateRequest(prompt="a cat", seed=7, steps=12, guidance=3.5))
    images = [add_image(site.studio, run=run) for _ in range(2)]
    page = site.page(f"/gallery/{images[1]}")
    text = text_of(page)
    assert text_of(page.xpath("//h1")[0]) == "a cat" and "320 x 240 pixels" in text
    assert "limner generate 'a cat' --seed 8 --steps 12 --guidance 3.5" in text
    assert '"seed": 8' in text and "GenerateRequest( seed=8," in text
    for name, wanted in {"Use these settings": set(), "Start from this image": {"image"}}.items():
        query = parse_qs(urlsplit(link(page, name)).query)
        assert {key: query[key] for key in ("prompt", "seed", "steps")} == {
            "prompt": ["a cat"],
            "seed": ["8"],
            "steps": ["12"],
        }
        assert wanted <= set(query) and ("image" in query) == bool(wanted)
        filled = site.page(link(page, name))
        assert filled.xpath("//input[@name='steps']/@value") == ["12"]
    (download,) = page.xpath("//a[@download]")
    assert download.get("download") == f"{images[1]:06d}-a-cat.png"
    assert site.client.get(download.get("href")).headers["content-type"] == "image/png"
    assert site.client.get(f"/gallery/{site.studio.images.get(VIEW, images[0]).sha256}").status_code == 200
    assert site.client.get("/gallery/999999").status_code == 404


def test_the_page_of_an_image_leads_to_its_neighbours_in_the_query(site):
    black, white, grey = (add_image(site.studio, f"a {colour} cat") for colour in ("black", "white", "black"))
    page = site.page(f"/gallery/{black}?search=black")
    assert page.xpath("//a[@rel='prev']/@href") == [f"/gallery/{grey}?search=black"] and not page.xpath(
        "//a[@rel='next']"
    )
    assert site.page(f"/gallery/{black}").xpath("//a[@rel='prev']/@href") == [f"/gallery/{white}"]


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_image_is_rated_and_made_a_favourite_on_its_page(site, headers):
    image = add_image(site.studio)
    for fields, pressed in (
        ({"do": "stars", "stars": "4"}, f"star-{image}-4"),
        ({"do": "favourite"}, f"heart-{image}"),
    ):
        response = choose(site, f"/gallery/mark/{image}?search=cat", headers, **fields)
        if not headers:
            assert response.headers["location"] == f"/gallery/{image}?search=cat"
            response = site.client.get(response.headers["location"])
        assert pressed in tree(response).xpath("//*[@aria-pressed='true']/@id")
    found = site.studio.images.get(VIEW, image)
    assert (found.mine.stars, found.favourite) == (4, True)
    choose(site, f"/gallery/mark/{image}", headers, do="stars", stars="0")
    assert site.studio.images.get(VIEW, image).mine is None


@pytest.mark.parametrize("headers", [{}, PART])
def test_an_image_is_verified(site, headers):
    response = choose(site, f"/gallery/verify/{add_image(site.studio, size=(64, 64))}", headers)
    assert response.status_code == 200 and "Watermark" in text_of(tree(response))


def test_two_to_four_images_are_compared(site):
    made = [add_image(site.studio, f"a cat {number}", size=(64 + number, 64), seed=9) for number in range(5)]
    page = site.page(f"/gallery/compare?id={made[0]}&id={made[1]}")
    assert len(page.xpath("//compare-slider/img")) == 2 == len(page.xpath("//figure"))
    rows = {row.xpath("./th")[0].text: [cell.text for cell in row.xpath("./td")] for row in page.xpath("//tbody/tr")}
    assert rows["Prompt"] == ["a cat 0", "a cat 1"] and rows["Size"] == ["64 x 64 pixels", "65 x 64 pixels"]
    assert "Variation number" not in rows
    four = site.page("/gallery/compare?ids=" + "+".join(map(str, made[:4])))
    assert len(four.xpath("//figure")) == 4 and not four.xpath("//compare-slider")
    for wrong in (made[:1], made, []):
        response = site.client.get("/gallery/compare?ids=" + "+".join(map(str, wrong)))
        assert response.status_code == 422 and "choose" in text_of(tree(response).xpath("//*[@role='alert']")[0])


@pytest.mark.parametrize("headers", [{}, PART])
def test_images_that_are_compared_are_rated_beside_each_other(site, headers):
    one, two = (add_image(site.studio, f"a cat {number}") for number in range(2))
    place = f"/gallery/compare?ids={one}+{two}"
    groups = site.page(place).xpath("//figure/div[@role='group']")
    assert [each.get("aria-label") for each in groups] == ["Image A", "Image B"]
    assert not site.page(place).xpath("//*[@data-key='f' or @data-key='4']"), "of which image is not known"
    heart, stars = groups[1].xpath("form")
    for form, pressed in ((stars, {"stars": "4"}), (heart, {"do": "favourite"})):
        fields = dict(zip(form.xpath("input/@name"), form.xpath("input/@value"), strict=True)) | pressed
        assert (form.get("action"), form.get("hx-target")) == (f"/gallery/mark/{two}", f"#feedback-{two}")
        response = choose(site, form.get("action"), {**headers, "Referer": f"http://127.0.0.1{place}"}, **fields)
        if headers:
            (group,) = tree(response).xpath("//div[@role='group']")
            assert group.get("aria-label") == "Image B" and not group.xpath(".//*[@data-key]")
        else:
            assert response.headers["location"] == place
    found = site.studio.images.get(VIEW, two)
    assert (found.mine.stars, found.favourite) == (4, True)
    assert site.studio.images.get(VIEW, one).mine is None


def test_the_filters_fold_behind_one_button_with_the_number_of_active_ones(site):
    image = add_image(site.studio, "a black cat", tags={"breed": "tabby"})
    add_image(site.studio, "a black cat", tags={"breed": "siamese"})
    site.studio.feedback.set_favourites(VIEW, [image], True)

    def folded(query=""):
        (found,) = site.page(f"/gallery{query}").xpath("//details[@class='folded']")
        return found

    page = folded()
    titles = {text_of(each) for each in page.xpath(".//details/summary")}
    assert {"New collection", "Breed", "Date"} <= titles and page.xpath(".//a[contains(., 'Favourites')]")
    assert text_of(page.xpath("summary")[0]) == "Filter"
    for query, count in (
        ("?search=cat", ""),
        ("?colour=tomato", " 1 active"),
        ("?favourite=true&search=cat&tag=breed%3Dtabby", " 2 active"),
    ):
        assert text_of(folded(query).xpath("summary")[0]) == f"Filter{count}"


def test_an_export_holds_each_image_with_its_request(site):
    one, two = add_image(site.studio, HOSTILE, seed=3), add_image(site.studio, "a cat")
    response = choose(site, "/gallery/export", ids=f"{one} {two}")
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None and len(names) == 4
        assert all("/" not in name and name.isascii() and name.isprintable() for name in names)
        stem = next(name for name in names if name.startswith(f"{one:06d}"))[:-4]
        request = json.loads(archive.read(f"{one:06d}-script-alert-1-script-x-7-7.json"))
        assert request == {"kind": "generate", "prompt": HOSTILE, "seed": 3}, stem
        assert GenerateRequest.model_validate(request).seed == 3
        found = site.studio.images.get(VIEW, two)
        assert archive.read(f"{two:06d}-a-cat.png") == site.studio.files.path(found.sha256).read_bytes()


def erasures(site):
    return site.client.app.state.erasures


def undo_of(page):
    """The fields of the form that takes an erasure back."""
    (form,) = page.xpath("//form[contains(@class, 'undoing')]")
    return {each.get("name"): each.get("value") for each in form.xpath(".//input")}


def test_erased_images_are_gone_at_once_and_come_back_with_undo(site):
    one, other = add_image(site.studio, "a cat"), add_image(site.studio, "a dog")
    response = choose(site, "/gallery/erase?search=cat", ids=f"{one}")
    assert response.status_code == 303 and response.headers["location"] == "/gallery?search=cat"
    page = site.page("/gallery")
    assert ids_in(page) == [other] == all_ids(site) and "1 image was erased" in text_of(page)
    assert len(site.studio.store.artifacts(kind="picture")) == 2, "nothing is erased yet"
    assert site.studio.images.facets(VIEW, ImageQuery()).total == 1
    for hidden in (f"/gallery/{one}", f"/gallery/compare?id={one}&id={other}"):
        assert site.client.get(hidden).status_code == 404
    assert choose(site, "/gallery/erase/undo", **undo_of(page)).status_code == 303
    assert all_ids(site) == [other, one] and not site.page("/gallery").xpath("//form[contains(@class, 'undoing')]")
    erasures(site).finish()
    assert all_ids(site) == [other, one], "what was taken back stays"


def test_erased_images_are_deleted_when_the_time_is_over(site, monkeypatch):
    monkeypatch.setattr("limner.web.pages.gallery.IMAGES", timedelta(0))
    one, other = add_image(site.studio, "a cat"), add_image(site.studio, "a dog")
    choose(site, "/gallery/erase", ids=f"{one}")
    erasures(site).work()
    assert [each.id for each in site.studio.store.artifacts(kind="picture")] == [other] == all_ids(site)
    late = choose(site, "/gallery/erase/undo", erasure="0" * 16)
    assert late.status_code == 409 and "too late" in late.text


def test_an_account_takes_back_its_own_erasures_only(guarded):
    ann, ben = key_of(guarded, "ann"), key_of(guarded, "ben")
    mine = add_image(guarded.studio, owner="ann")
    choose(guarded, "/gallery/erase", ann, ids=f"{mine}")
    (waits,) = guarded.studio.maintenance.erasures.list("ann", adapters=False)
    assert "erased." not in guarded.client.get("/gallery", headers=ben).text
    assert choose(guarded, "/gallery/erase/undo", ben, erasure=waits.id).status_code == 409
    assert choose(guarded, "/gallery/erase/undo", ann, erasure=waits.id).status_code == 303
    assert guarded.studio.images.get(VIEW, mine)


def test_conditions_are_shown_and_left_out_one_by_one(site):
    add_image(site.studio, "a dog", tags={"breed": "corgi"})
    page = site.page("/gallery?search=zebra&favourite=true&tag=breed%3Dcorgi&days=7&month=2020-01&width=5&at_least=5")
    chips = page.xpath("//ul[@class='conditions']//a")
    labels = ["“zebra” ✕", "Favourites ✕", "breed: corgi ✕", "5 stars ✕", "5 x any ✕", "Last 7 days ✕"]
    assert [text_of(each) for each in chips] == [*labels, "January 2020 ✕", "Show all"]
    fewer = parse_qs(urlsplit(chips[0].get("href")).query)
    assert "search" not in fewer and fewer["tag"] == ["breed=corgi"] and fewer["days"] == ["7"]
    assert not site.page("/gallery").xpath("//ul[@class='conditions']")


def test_each_day_is_told_on_its_first_image(site):
    ids = [add_image(site.studio, name) for name in ("a cat", "a dog", "a fox")]
    with site.studio.store.session() as session:
        then = datetime(2020, 2, 3, 12, tzinfo=UTC)
        session.execute(update(ImageIndexRow).where(ImageIndexRow.id.in_(ids[:2])).values(created=then))
    now = day_text(datetime.now(UTC))
    page = site.page("/gallery")
    assert page.xpath("//span[@class='day']/text()") == [now, "3 Feb 2020"]
    assert page.xpath("//li[span[@class='day']]/@data-id") == [str(ids[2]), str(ids[1])]
    assert site.page("/gallery?order=oldest").xpath("//span[@class='day']/text()") == ["3 Feb 2020", now]
    assert not site.page("/gallery?order=best").xpath("//span[@class='day']")
    assert [each["day"] for each in site.client.get(f"/gallery/tiles?ids={ids[0]}").json()] == ["3 Feb 2020"]


def test_small_images_are_not_blown_up(site):
    small, large = add_image(site.studio, size=(128, 128)), add_image(site.studio, size=(320, 240))
    assert site.page(f"/gallery/{small}").xpath("//figure//img/@class") == ["tiny"]
    assert not site.page(f"/gallery/{large}").xpath("//figure//img/@class")
    assert not site.page(f"/gallery/compare?id={small}&id={large}").xpath("//*[@class='tiny']")
    other = add_image(site.studio, size=(64, 64))
    assert len(site.page(f"/gallery/compare?id={small}&id={other}").xpath("//*[@class='tiny']")) == 3


def test_images_of_the_last_days(site):
    with site.studio.store.session() as session:
        old, new = add_image(site.studio, "a cat"), add_image(site.studio, "a dog")
        session.execute(
            update(ImageIndexRow).where(ImageIndexRow.id == old).values(created=datetime.now(UTC) - timedelta(days=8))
        )
    assert all_ids(site, "?days=7") == [new] and all_ids(site, "?days=30") == [new, old]
    assert ids_in(site.page(link(site.page("/gallery"), "Last 7 days"))) == [new]


def test_what_waits_is_erased_when_the_server_ends(site):
    one = add_image(site.studio, "a cat")
    with site.client:
        choose(site, "/gallery/erase", ids=f"{one}")
        assert site.studio.store.artifacts(kind="picture")
    assert not site.studio.store.artifacts(kind="picture")


def test_an_erasure_that_fails_is_said_and_its_images_come_back(site):
    one = add_image(site.studio, "a cat")
    reference = site.studio.images.get(VIEW, one).reference
    choose(site, "/gallery/erase", ids=f"{one}")
    add_run(site.studio, GenerateRequest(prompt="a cat", image=reference))  # it uses the image meanwhile
    erasures(site).finish()
    page = site.page("/gallery")
    assert ids_in(page) == [one]
    assert "Not erased:" in text_of(page) and "was made with it" in text_of(page)
    assert "Not erased:" not in text_of(site.page("/gallery")), "it is said once"


def test_one_image_of_a_job_is_erased_alone_and_comes_back_with_undo(site):
    one = add_image(site.studio, "a cat")
    run = site.studio.runs.get(site.studio.images.get(VIEW, one).run)
    beside, other = add_image(site.studio, run=run), add_image(site.studio, "a dog")
    assert choose(site, "/gallery/erase", ids=f"{one}").status_code == 303
    page = site.page("/gallery")
    assert all_ids(site) == [other, beside] == ids_in(page) and "1 image was erased" in text_of(page)
    assert site.client.get(f"/gallery/{one}").status_code == 404
    choose(site, "/gallery/erase/undo", **undo_of(page))
    assert all_ids(site) == [other, beside, one]
    choose(site, "/gallery/erase", ids=f"{one}")
    erasures(site).finish()
    assert all_ids(site) == [other, beside] == [image.id for image in site.studio.images.list(VIEW, ImageQuery())]
    assert site.studio.runs.get(run.id), "the job stays with its other image"


def test_erasing_also_names_what_was_made_with_the_images(site):
    one = add_image(site.studio, "a cat")
    reference = site.studio.images.get(VIEW, one).reference
    run = add_run(site.studio, GenerateRequest(prompt="a cat on the beach", image=reference))
    made = add_image(site.studio, run=run)
    asked = tree(choose(site, "/gallery/erase", ids=f"{one}"))
    assert "1 other job used this image" in text_of(asked)
    assert asked.xpath("//button[@name='sure']/@value") == ["derived"]
    assert text_of(asked.xpath("//h1")[0]) == "Erase 2 images?" and "1 more image" in text_of(asked)
    assert all_ids(site) == [made, one], "nothing goes before it is confirmed"
    form = asked.xpath("//form")[0]
    fields = dict(zip(form.xpath(".//input/@name"), form.xpath(".//input/@value"), strict=True))
    done = choose(site, form.get("action"), sure="derived", **fields)
    assert done.status_code == 303 and all_ids(site) == []
    choose(site, "/gallery/erase/undo", **undo_of(site.page("/gallery")))
    assert all_ids(site) == [made, one]
    choose(site, "/gallery/erase", ids=f"{one}", sure="derived")
    erasures(site).finish()
    assert not site.studio.images.list(VIEW, ImageQuery())


def test_hostile_prompts_are_shown_as_text(site):
    image, other = add_image(site.studio, HOSTILE), add_image(site.studio, "a cat")
    for place in ("/gallery", f"/gallery/{image}", f"/gallery/compare?id={image}&id={other}"):
        page = site.page(place)
        assert not page.xpath("//script[not(@src)]"), place
        assert HOSTILE in page.text_content() or HOSTILE in page.xpath("//img/@alt"), place


def test_two_accounts_never_see_each_others_images(guarded):
    site = guarded
    ann, ben = key_of(site, "ann"), key_of(site, "ben")
    mine, theirs = add_image(site.studio, "anns cat", owner="ann"), add_image(site.studio, "bens cat", owner="ben")
    sha256 = site.studio.images.get(VIEW, theirs).sha256
    album = site.studio.collections.add(Viewer("ben", "ben", True), "Bens")
    site.studio.images.thumbnail(sha256, 160)
    page = tree(site.client.get("/gallery", headers=ann))
    assert ids_in(page) == [mine] and "bens" not in page.text_content().lower()
    assert site.client.get("/gallery/ids", headers=ann).json()["ids"] == [mine]
    assert site.client.get(f"/gallery/tiles?ids={theirs}", headers=ann).json() == []
    assert site.client.get(f"/thumbnails/160/{sha256}.webp", headers=ben).status_code == 200
    for place in (f"/thumbnails/160/{sha256}.webp", f"/gallery/{theirs}", f"/gallery/compare?id={mine}&id={theirs}"):
        assert site.client.get(place, headers=ann).status_code == 404, place
    for place, fields in {
        "/gallery/mark": {"do": "favourite"},
        f"/gallery/mark/{theirs}": {"do": "favourite"},
        f"/gallery/verify/{theirs}": {},
        "/gallery/export": {},
        "/gallery/erase": {"sure": "derived"},
        f"/gallery/collections/{album.id}/delete": {},
        "/gallery/collections": {"name": "Theirs"},
    }.items():
        response = choose(site, place, ann, ids=str(theirs), **fields)
        assert response.status_code in (404, 422), (place, response.status_code)
    choose(site, "/gallery/mark", ann, do="restore", was=f"{theirs}:5")
    choose(site, "/gallery/mark", ann, ids=str(mine), do="collect", collection=str(album.id))
    kept = site.studio.images.get(Viewer("ann", None, True), theirs)
    assert (kept.favourite, kept.ratings) == (False, 0)
    assert [each.pictures for each in site.studio.collections.list(Viewer("ben", "ben", True))] == [0]
    assert site.client.get(f"/gallery/ids?collection={album.id}", headers=ann).json()["ids"] == []


def test_a_viewer_may_mark_and_export_but_not_erase(guarded):
    site, image = guarded, add_image(guarded.studio, owner="ann")
    viewer = key_of(site, "ann", "viewer")
    page = tree(site.client.get("/gallery", headers=viewer))
    assert page.xpath("//button[text()='Export as zip']") and not page.xpath("//button[starts-with(text(), 'Erase')]")
    assert choose(site, "/gallery/mark", viewer, ids=str(image), do="favourite").status_code == 200
    assert choose(site, "/gallery/export", viewer, ids=str(image)).status_code == 200
    assert choose(site, "/gallery/collections", viewer, name="Best").status_code == 303
    assert choose(site, "/gallery/erase", viewer, ids=str(image), sure="yes").status_code == 403
    assert site.studio.images.list(Viewer("ann", "ann", True), ImageQuery(favourite=True))


def test_without_a_key_nothing_is_shown(guarded):
    for place in ("/gallery", "/gallery/ids", "/gallery/1"):
        assert guarded.client.get(place).status_code in (303, 401)
    assert guarded.client.get(f"/thumbnails/160/{'0' * 64}.webp").status_code in (303, 401)

"""Drafts on the pages Teach and Home: which are listed, how they are told apart, deleted ones, and their limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import func, select, update
from test_teach_images import begin, draft_of, photo, send
from test_teach_steps import example, filled, save

from limner.core.drafts import MAX_CAPTION, MAX_IMAGES, MAX_VALUES, DraftImage
from limner.core.errors import LimnerError
from limner.store.drafts import KEPT, MAX_DRAFTS
from limner.store.tables import DraftRow
from limner.web.pages import teach, teach_images, teach_training
from limner.web.pages.teach import LISTED
from pages import PART, text_of, tree

LETTERS = str.maketrans("0123456789", "abcdefghjk")
STEPS = ("images", "subject", "recipe", "train")


def listed(page) -> list[str]:
    return [text_of(each) for each in page.xpath("//li[@class='draft']//strong")]


def test_drafts_of_one_class_are_told_apart(site):
    for word in ("kelzo", "", "mopvi"):
        at = begin(site)
        send(site, at, photo(1))
        save(site, at, "subject", class_word="cat", identifier=word)
    names = listed(site.page("/teach"))
    assert len(set(names)) == 3 and {"cat “kelzo”", "cat “mopvi”"} < set(names)
    entries = site.page("/").xpath("//ul[@class='drafts']//a")
    assert {text_of(each.xpath(".//strong")[0]) for each in entries} == set(names)
    assert all(each.xpath(".//img") and "saved just now" in text_of(each) for each in entries)
    buttons = site.page("/teach").xpath("//li[@class='draft']//button/@aria-label")
    assert len(set(buttons)) == 3


def test_looking_at_a_new_draft_puts_nothing_into_it(site):
    at = begin(site)
    for step in STEPS:
        form = filled(site.page(f"{at}/{step}"), step) if step in ("subject", "recipe") else None
        if form is not None:
            site.client.post(f"{at}/{step}", data=form, headers=PART)
    page = site.page("/teach")
    assert not listed(page) and "Begin with your photos" in text_of(page) and not page.xpath("//details")
    save(site, at, "subject", class_word="dog")
    assert len(listed(site.page("/teach"))) == 1, "a word is something"


def test_many_drafts_are_listed_in_pages(site):
    names = []
    for number in range(2 * LISTED + 5):
        draft = site.studio.drafts.add("")
        fields = {"class_word": f"dog {number}", "identifier": "zorvik"}
        site.studio.drafts.change("", draft.id, lambda before, fields=fields: before.with_choices(fields=fields))
        names.append(f"dog {number} “zorvik”")
        begin(site)
    found, page = [], site.page("/teach")
    while True:
        assert len(listed(page)) <= LISTED
        found += listed(page)
        if not (older := page.xpath("//a[@rel='next']/@href")):
            break
        page = site.page(older[0])
        assert page.xpath("//a[@rel='prev']")
    assert found == names[::-1]


def test_empty_drafts_do_not_pile_up(site, monkeypatch):
    monkeypatch.setattr("limner.store.drafts.MAX_DRAFTS", 20)
    kept = begin(site)
    save(site, kept, "subject", class_word="dog")
    gone = begin(site)
    save(site, gone, "subject", class_word="cat")
    site.client.post(f"{gone}/delete")
    for _ in range(50):
        site.page(f"{begin(site)}/images")

    def count() -> int:
        with site.studio.store.session() as session:
            return session.scalar(select(func.count()).select_from(DraftRow))

    assert count() <= 21 and draft_of(site, kept).text("class_word") == "dog"
    with site.studio.store.writing() as session:
        session.execute(update(DraftRow).values(saved=datetime.now(UTC) - 2 * KEPT))
    begin(site)
    assert count() == 2 and draft_of(site, kept).text("class_word") == "dog"


def test_only_drafts_with_something_in_them_count_to_the_limit(site):
    with site.studio.store.writing() as session:
        now = datetime.now(UTC)
        for number in range(MAX_DRAFTS):
            name, removed = f"{number:012d}".translate(LETTERS), number % 2 == 0
            values = {"choices": {"removed": removed} if removed else {}, "images": [], "removed": removed}
            row = DraftRow(
                id=name, owner="", version=2 if removed else 1, created=now, saved=now - timedelta(minutes=1), **values
            )
            session.add(row)
    at = begin(site)
    assert at.startswith("/teach/")
    with site.studio.store.writing() as session:
        session.execute(update(DraftRow).values(version=2, removed=False))
        for number in range(2):
            row = DraftRow(id=f"{'b' * 11}{'cd'[number]}", owner="", version=2, choices={}, images=[])
            row.created = row.saved = now
            session.add(row)
    response = site.client.post("/teach")
    assert response.status_code == 422 and "there are 500 drafts already" in text_of(tree(response))


def routes() -> list[tuple[str, str]]:
    """Method and path of every request that reads or changes a draft, apart from those that a deleted one allows."""
    allowed = {"/teach/{draft_id}/delete", "/teach/{draft_id}/restore", "/teach/{draft_id}/images/{sha256}.jpg"}
    found = [
        (method, route.path)
        for module in (teach, teach_images, teach_training)
        for route in module.router.routes
        if isinstance(route, APIRoute) and "{draft_id}" in route.path and route.path not in allowed
        for method in sorted(route.methods)
    ]
    assert len(found) > 25
    return found


def test_a_draft_that_was_deleted_in_another_tab_says_so_and_takes_nothing(site):
    at = begin(site)
    send(site, at, photo(1))
    (image,) = draft_of(site, at).images
    site.client.post(f"{at}/delete")
    before = draft_of(site, at)
    for method, path in routes():
        place = path.replace("{draft_id}", before.id).replace("{sha256}", image.sha256).replace("{upload}", "0" * 32)
        place = place.replace("{action}", "remove")
        query = {"at": 0, "total": 5, "model": "starter"} if "{upload}" in path or "subject/images" in path else {}
        data = {"sha256": image.sha256, "name": "a.png"} if path.endswith("/known") else {}
        response = site.client.request(method, place, params=query, **({"data": data} if method == "POST" else {}))
        assert response.status_code == 410, (method, path)
        assert "this draft was deleted; restore it on the page Teach" in text_of(tree(response)), (method, path)
        assert draft_of(site, at) == before, (method, path)


def test_files_that_are_sent_to_a_deleted_draft_are_refused_with_the_reason(site):
    at = begin(site)
    send(site, at, photo(1), "1.png")
    drafts = site.studio.drafts
    site.client.post(f"{at}/delete")
    response = site.client.post(f"{at}/images", content=photo(2), headers={"Accept": "application/json"})
    assert response.json()["detail"] == "this draft was deleted" and "restore it" in response.json()["remedy"]
    with pytest.raises(LimnerError, match="this draft was deleted"):  # deleted while the file arrived
        drafts.change("", at[-12:], lambda before: before.with_choices(fields={"class_word": "dog"}))
    page = site.page("/teach")
    (restore,) = page.xpath("//ul[@class='gone']//form/@action")
    site.client.post(restore)
    assert len(draft_of(site, at).shown) == 1 and send(site, at, photo(2), "2.png").status_code == 200


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({"fields": {f"f{number}": "x" for number in range(MAX_VALUES + 1)}}, "more than 256"),
        ({"fields": {"class_word": "x" * 20_001}}, "class word"),
        ({"fields": {"trial_prompt": ("x",) * (MAX_VALUES + 1)}}, "trial prompt"),
        ({"trainings": ("1",) * 1001}, "trainings"),
        ({"problem": "x" * 2001}, "problem"),
        ({"step": "x" * 21}, "step"),
    ],
)
def test_a_limit_that_is_exceeded_is_named_and_nothing_is_lost(site, choices, name):
    at = begin(site)
    save(site, at, "subject", class_word="dog")
    before = draft_of(site, at)
    with pytest.raises(LimnerError) as caught:
        site.studio.drafts.change("", before.id, lambda draft: draft.with_choices(**choices))
    text = str(caught.value)
    assert "cannot be saved" in text and "cannot be read" not in text
    assert name in text or name == "more than 256", text
    assert draft_of(site, at) == before


def full(site) -> str:
    """A draft with as many images as it may have, and captions as long as they may be."""
    at = begin(site)
    images = tuple(
        DraftImage(sha256=f"{number:064x}", name=f"{number}.png", width=64, height=64, caption="dog " * 500)
        for number in range(MAX_IMAGES)
    )
    site.studio.drafts.change("", at[-12:], lambda draft: draft.model_copy(update={"images": images}))
    return at


def test_a_full_draft_refuses_one_more_image_and_changes_all_captions(site):
    at = full(site)
    response = send(site, at, photo(1), "rex.png")
    assert response.status_code == 422 and f"more than {MAX_IMAGES:,}" in response.json()["detail"]
    place = site.client.post(f"{at}/captions", data={"find": "dog", "replace": "cat"}).headers["location"]
    assert f"changed={MAX_IMAGES}" in place
    assert all(each.caption.startswith("cat cat") for each in draft_of(site, at).shown)
    before = draft_of(site, at)
    response = site.client.post(f"{at}/captions", data={"before": "x" * 500})
    text = text_of(tree(response).xpath("//details[@id='captions'][@open]//p[@role='alert']")[0])
    assert response.status_code == 422 and text == (
        f"{MAX_IMAGES} captions would have more than {MAX_CAPTION:,} characters; put in fewer words"
    )
    assert draft_of(site, at) == before, "no caption loses its end"
    assert len(site.page(f"{at}/images").xpath("//div[@id='photos']/article")) == MAX_IMAGES
    assert f"no image {MAX_IMAGES}" not in text_of(site.page("/teach"))


def misnamed(page) -> list[str]:
    """The names of what can be pressed that do not contain what it shows."""
    found = page.xpath("//main//*[self::a or self::button or self::label][@aria-label]")
    names = [(text_of(each), each.get("aria-label")) for each in found]
    return [name for text, name in names if text.casefold() not in name.casefold()]


@pytest.mark.parametrize("step", [*STEPS, "crop"])
def test_what_a_button_shows_is_part_of_its_name(site, step):
    """WCAG 2.5.3, label in name: what a person reads is what a person says to press it."""
    at = example(site)
    place = f"images/{draft_of(site, at).shown[0].sha256}/crop" if step == "crop" else step
    for page in (site.page(f"{at}/{place}"), site.page("/teach")):
        assert misnamed(page) == []


@pytest.mark.parametrize("step", STEPS)
def test_each_step_begins_at_its_heading(site, step):
    at = example(site)
    page = site.page(f"{at}/{step}")
    (heading,) = page.xpath("//h1[@id='step']")
    assert heading.get("tabindex") == "-1"
    links = page.xpath("//nav[@class='steps']//a/@href | //p[contains(@class, 'next')]//a/@href")
    assert len(links) >= 4 and all(link.endswith("#step") for link in links)


def test_next_goes_to_the_heading_of_the_next_step(site):
    at = example(site)
    for step, following in (("subject", "recipe"), ("recipe", "train"), ("recipe", "subject")):
        place = save(site, at, step, go=following).headers["location"]
        assert place == f"{at}/{following}#step"
    assert site.client.post(f"{at}/train").headers["location"] == f"{at}/train#step"

"""The page Feedback: what people liked, improvements, their form, and blind comparisons."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from gallery import add_image
from improvements import LOST, PROMPTS, finish, rate, store_adapter, vote_for, voting
from limner.core.accounts import Caller, Role
from limner.core.feedback import Comparison, Rating
from limner.core.promotions import PromotionStatus
from limner.core.requests import AdapterUse
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.studio.images import Viewer
from limner.studio.maintenance import EraseSelection
from pages import PART, teach, text_of, tree

HOSTILE = "<script>alert(1)</script> & 'food'"
EVE = Caller(account="eve")


def main_of(site, path="/feedback"):
    return text_of(site.page(path).xpath("//main")[0])


def sign_in(site, account, role=None):
    _, secret = site.studio.accounts.add_key(account, role)
    site.client.cookies.clear()
    assert site.client.post("/sign-in", data={"key": secret}).status_code == 303


def rows(site, path="/feedback"):
    return [
        [text_of(cell) for cell in row.xpath("./th|./td")]
        for row in site.page(path).xpath("//section[@aria-labelledby='liked']//tbody/tr")
    ]


def vote(site, promotion, version):
    """Vote for one version by the form that the page shows; returns the answer."""
    page = site.page(f"/feedback/votes/{promotion.id}")
    number = int(page.xpath("//form//input[@name='pair']/@value")[0])
    pair = next(each for each in site.studio.promotions.pairs(promotion) if each.number == number)
    shown = next(each for each in site.studio.promotions.shown_pairs(promotion, Caller()) if each.number == number)
    side = "left" if shown.left == getattr(pair, version) else "right"
    return site.client.post(f"/feedback/votes/{promotion.id}", data={"pair": number, "choice": side})


def test_an_empty_page_says_what_to_do_first(site):
    shown = main_of(site)
    assert "No feedback yet" in shown and "Give stars" in shown and "Nothing was improved yet" in shown
    assert "Teach a subject" in main_of(site, "/feedback/improve")
    assert "Feedback" in text_of(site.page("/").xpath("//nav")[0])


def test_what_people_liked_by_adapter_industry_and_model(site):
    reference = teach(site)
    site.studio.library.rename(site.studio.runs.list(1, "train")[0], "Comet")
    image = rate(site.studio, AdapterUse(path=reference), 3, "food", stars=4)
    other = add_image(site.studio, "a cat", tags={"industry": "travel"})
    site.studio.feedback.rate(Viewer(account="x"), image, Rating(stars=2, reasons=("wrong_subject", "blurred")))
    site.studio.feedback.compare(Viewer(account="x"), Comparison(better=image, worse=other))
    found = rows(site)
    assert found[0] == ["Comet", "3.5 2.5 to 4.5", "4", "1 won, 0 lost", "blurred 1 wrong subject 1", "Improve"]
    assert found[1][0] == "Images without anything taught" and found[1][1:4] == ["none yet", "0", "0 won, 1 lost"]
    assert [row[0] for row in rows(site, "/feedback?by=industry")] == ["food", "travel"]
    assert [row[0] for row in rows(site, "/feedback?by=model")] == ["starter"]
    assert [row[:3] for row in rows(site, "/feedback?by=model&industry=FOOD")] == [["starter", "3.5 2.5 to 4.5", "4"]]
    assert "no feedback on these images" in main_of(site, "/feedback?industry=nothing")
    assert site.client.get("/feedback?by=luck").status_code == 422


def test_an_account_sees_its_own_feedback_only(guarded):
    rate(guarded.studio, store_adapter(guarded.studio, "of bob"), 3, "secret", owner="bob")
    promotion, _, _ = voting(guarded.studio, "secret")
    sign_in(guarded, "ann")
    shown = main_of(guarded, "/feedback?by=industry")
    assert "secret" not in shown and "No feedback yet" not in shown and "Which is better?" not in shown
    assert guarded.client.get(f"/feedback/votes/{promotion.id}").status_code == 404
    for what in ("promote", "restore"):
        answer = guarded.client.post(f"/feedback/improvements/{promotion.id}/{what}")
        assert answer.status_code == 404
    assert guarded.studio.promotions.get(promotion.id).status is PromotionStatus.VOTING
    add_image(guarded.studio, PROMPTS[0], owner="ann")
    shown = main_of(guarded)
    assert "4 of 4 pairs of images wait for your vote" in shown and "Use it" not in shown
    assert PROMPTS[0] in main_of(guarded, f"/feedback/votes/{promotion.id}")
    sign_in(guarded, "eve", Role.ADMIN)
    shown = main_of(guarded)
    assert "8 of 8 pairs" in shown and "Use it" in shown and "Keep the old one" in shown


def test_a_viewer_votes_and_changes_nothing_else(guarded):
    promotion, _, _ = voting(guarded.studio)
    add_image(guarded.studio, PROMPTS[0], owner="vic")
    sign_in(guarded, "vic", Role.VIEWER)
    number = guarded.page(f"/feedback/votes/{promotion.id}").xpath("//input[@name='pair']/@value")[0]
    place = f"/feedback/votes/{promotion.id}"
    assert guarded.client.post(place, data={"pair": number, "choice": "tie"}).status_code == 303
    assert guarded.client.post("/feedback/improve", data={"target": "x"}).status_code == 403


def test_the_comparison_is_blind_and_stays_on_reload(site):
    promotion, old, new = voting(site.studio)
    place = f"/feedback/votes/{promotion.id}"
    first = site.client.get(place).text
    assert first == site.client.get(place).text
    body = tree(site.client.get(place)).xpath("//main")[0]
    assert [each.get("alt") for each in body.xpath(".//img")] == ["Image A", "Image B"]
    assert [each.get("value") for each in body.xpath(".//button[@name='choice']")] == ["left", "right", "tie"]
    for secret in (old.path, new.path, "improved", "seed", promotion.run, "sha256", "folder"):
        assert secret not in first.replace("/static/", ""), secret
    assert not re.search(r"\b(new|old)\b", text_of(body)) and "1 of 8" in text_of(body)
    urls = [each.get("src") for each in body.xpath(".//img")]
    assert all(re.fullmatch(rf"/v1/promotions/{promotion.id}/pairs/[0-7]/(left|right)", url) for url in urls)
    assert all(site.client.get(url).status_code == 200 for url in urls)


def test_votes_lead_on_and_decide(site):
    promotion, _, _ = voting(site.studio)
    place = f"/feedback/votes/{promotion.id}"
    assert "0 of 6 votes" in main_of(site) and "new one, " not in main_of(site)
    for count in range(5):
        answer = vote(site, promotion, "new")
        assert (answer.status_code, answer.headers["location"]) == (303, place)
        assert f"{count + 2} of 8" in main_of(site, place) and f"{count + 1} of 6 votes" in main_of(site)
    assert "for the new one" not in main_of(site), "not before they decided"
    vote(site, promotion, "new")
    shown = main_of(site, place)
    assert (
        "The new one is in use" in shown
        and "6 for the new one, 0 for the old one" in shown
        and "more than chance" in shown
    )
    shown = main_of(site)
    assert (
        "in use" in shown
        and "Votes: 6 for the new one, 0 for the old one" in shown
        and "wait for your vote" not in shown
    )


def test_a_vote_swaps_the_next_pair_in_and_can_be_taken_back(site):
    promotion, _, _ = voting(site.studio)
    place = f"/feedback/votes/{promotion.id}"
    first = site.page(place).xpath("//input[@name='pair']/@value")[0]
    answer = site.client.post(place, data={"pair": first, "choice": "tie"}, headers=PART)
    part = tree(answer)
    assert answer.status_code == 200 and part.get("id") == "vote" and "2 of 8" in text_of(part)
    second = part.xpath(".//input[@name='pair']/@value")[0]
    (back,) = part.xpath(".//a[text()='Back']/@href")
    assert second != first and parse_qs(urlsplit(back).query)["pair"] == [first]
    page = site.page(back)
    assert page.xpath("//button[@value='tie']/@aria-pressed") == ["true"]
    site.client.post(place, data={"pair": first, "choice": "left"})
    assert site.studio.promotions.get(promotion.id).votes == 1
    for number in [each.number for each in site.studio.promotions.pairs(promotion)]:
        site.client.post(place, data={"pair": number, "choice": "tie"})
    shown = main_of(site, place)
    assert "You voted on all 8 pairs" in shown and "6 more votes of others decide" in shown
    for data in ({"pair": 99, "choice": "left"}, {"pair": "x", "choice": "left"}, {"pair": 0, "choice": "new"}):
        assert site.client.post(place, data=data).status_code in (409, 422)


def test_figures_reasons_and_history_are_shown_and_restored_in_one_click(site):
    promotion, _, _ = voting(site.studio)
    page = site.page("/feedback")
    (drawer,) = page.xpath("//details[summary='Measured before and after']")
    assert drawer.get("open") is None, "while people vote, on demand only"
    vote_for(site.studio, promotion, EVE, "new", 6)
    page = site.page("/feedback")
    (drawer,) = page.xpath("//details[summary='Measured before and after']")
    cells = [[text_of(cell) for cell in row.xpath("./th|./td")] for row in drawer.xpath(".//tbody/tr")]
    assert drawer.get("open") is not None and cells == [
        ["Preference accuracy", "0.500", "0.810", "+0.310", "+0.120 to +0.500", "better"],
        ["Diversity", "0.410", "0.405", "-0.005", "-0.011 to +0.001", "kept"],
    ]
    answer = site.client.post(f"/feedback/improvements/{promotion.id}/restore")
    assert answer.headers["location"] == f"/feedback?done={promotion.id}"
    page = site.page(answer.headers["location"])
    (undo,) = page.xpath("//form[contains(@class, 'notice')]")
    assert "Only the old one is in use" in text_of(undo) and "taken back" in text_of(page.xpath("//article")[0])
    assert site.client.post(undo.get("action")).status_code == 303
    assert site.studio.promotions.get(promotion.id).status is PromotionStatus.PROMOTED
    steps = text_of(site.page("/feedback").xpath("//ol[@class='steps']")[0])
    for text in ("being trained", "waits for votes", "by Limner", "taken back by a person", "promoted by a person"):
        assert text in steps
    assert site.client.post(f"/feedback/improvements/{promotion.id}/promote").status_code == 409


def test_why_the_new_one_is_not_used(site):
    promotion, _, _ = voting(site.studio, replaces=False, why=["diversity loses more than its margin"], measured=[LOST])
    vote_for(site.studio, promotion, EVE, "old", 3)
    vote_for(site.studio, promotion, EVE, "new", 3)
    shown = main_of(site)
    assert "diversity loses more than its margin" in shown and "-0.110 to -0.050" in shown and "worse" in shown
    assert "not used" in shown and "3 of 6 votes for the new one" in shown and "may be chance" in shown


def test_hostile_industries_and_prompts_are_text(site):
    promotion, _, _ = voting(site.studio, HOSTILE, prompts=("<img src=x onerror=alert(1)>",))
    tag = HOSTILE.casefold()
    for path in ("/feedback", "/feedback?by=industry", f"/feedback/votes/{promotion.id}"):
        answer = site.client.get(path)
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert tag in main_of(site) and "<img src=x onerror=alert(1)>" in main_of(site, f"/feedback/votes/{promotion.id}")
    assert "<script>alert" not in site.client.get("/feedback", params={"industry": HOSTILE}).text


def test_an_erased_run_does_not_break_the_page(site):
    promotion, _, _ = voting(site.studio)
    vote_for(site.studio, promotion, EVE, "new", 6)
    site.studio.maintenance.erase(EraseSelection(runs=(promotion.run,)))
    shown = main_of(site)
    assert "in use" in shown and "Its job" not in shown and "Try it" not in shown
    assert site.client.get(f"/feedback/votes/{promotion.id}").status_code == 200


def test_the_form_queues_an_improvement(site):
    reference = teach(site)
    form = site.page(f"/feedback/improve?target={reference}").xpath("//form[@id='improve']")[0]
    assert form.xpath(".//select[@name='target']/option[@selected]/@value") == [reference]
    names = {each.get("name") for each in form.xpath(".//*[@name]")}
    assert {"source", "lesson", "steps", "industry", "tolerance", "held_out"} <= names
    data = {
        "target": reference,
        "model": "starter",
        "lesson": "preference",
        "steps": "30",
        "industry": "food",
        "source": "pairs",
    }
    answer = site.client.post("/feedback/improve", data=data)
    (run,) = site.studio.runs.list(kind="improve")
    assert answer.headers["location"] == f"/runs/{run.id}"
    request = run.request
    assert (request.target.adapter[0].path, request.lesson, request.steps, request.source) == (
        reference, "preference", 30, "pairs",
    )  # fmt: skip
    taught = site.studio.runs.list(kind="train")[0].request
    assert (request.references, request.model) == (taught.data, "starter") and "waiting" in main_of(site)


def test_what_another_account_taught_is_answered_like_nothing(guarded):
    reference, answers = teach(guarded), []
    sign_in(guarded, "ann")
    for target in (reference, "folder:" + "0" * 64):
        answer = guarded.client.post("/feedback/improve", data={"target": target})
        answers.append((answer.status_code, answer.text.replace(target, "ID").replace(target[7:15], "ID")))
    assert answers[0] == answers[1] and answers[0][0] == 422 and "is not yours" in answers[0][1]


def test_what_is_wrong_is_said_at_its_field(site):
    reference = teach(site)
    answer = site.client.post("/feedback/improve", data={"target": reference, "steps": "0"})
    (field,) = tree(answer).xpath("//div[@data-field='steps']")
    assert answer.status_code == 422 and "wrong" in field.get("class") and field.xpath(".//p[@class='error']")
    for target, part in (("", "choose what to improve"), ("folder:" + "0" * 64, ""), ("trained/nothing", "no run")):
        answer = site.client.post("/feedback/improve", data={"target": target})
        shown = text_of(tree(answer).xpath("//main")[0])
        assert answer.status_code in (404, 422) and part in shown
    assert site.studio.runs.list(kind="improve") == []


def test_an_own_improvement_is_listed_with_its_figures(site):
    reference = teach(site)
    site.client.post("/feedback/improve", data={"target": reference})
    (run,) = site.studio.runs.list(kind="improve")
    assert "waiting" in main_of(site)
    finish(site.studio, run.id)
    shown = main_of(site)
    assert "better than the old one" in shown and "Preference accuracy" in shown and "Try it" in shown
    assert "preference accuracy is above chance" in shown and "Use it" not in shown


def test_a_failed_improvement_says_why(site):
    reference = teach(site)
    site.client.post("/feedback/improve", data={"target": reference})
    queue = Queue(site.studio.store)
    ((_, lease),) = queue.claim("worker")
    queue.finish(lease, Status.FAILED, "there are 3 pairs; collect 50")
    assert "there are 3 pairs; collect 50" in main_of(site)

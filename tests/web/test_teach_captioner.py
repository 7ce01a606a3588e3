"""Captions that a captioner writes for the images of a draft."""

from __future__ import annotations

import pytest
from test_teach_images import captions, draft_of
from test_teach_steps import example

from pages import PART, text_of, tree
from working import execute_queue


def typed(site, at: str, number: int, text: str) -> None:
    image = draft_of(site, at).shown[number]
    site.client.post(f"{at}/images/{image.sha256}", data={"caption": text, "was": image.caption, "since": "999"})


@pytest.mark.slow
def test_a_captioner_writes_what_nobody_typed_and_is_undone(site, starter):
    at = example(site)
    for number in range(8):
        typed(site, at, number, "my own words" if number == 0 else "")
    assert site.client.post(f"{at}/captions/write", data={"captioner": "starter"}).status_code == 303
    part = tree(site.client.get(f"{at}/captions/writing", headers=PART))
    assert part.xpath("//div[@id='captioner']/@hx-get") and not part.xpath("//progress")
    assert "when the jobs before it have ended" in text_of(part)
    typed(site, at, 1, "typed meanwhile")
    execute_queue(site.studio)
    part = tree(site.client.get(f"{at}/captions/writing", headers=PART))
    assert not part.xpath("//div[@id='captioner']/@hx-get") and len(part.xpath("//hx-partial")) == 8
    written = [image.caption for image in draft_of(site, at).shown]
    assert written[:2] == ["my own words", "typed meanwhile"] and sum("cat" in text for text in written[2:]) >= 4
    site.client.post(f"{at}/captions/undo")
    assert [image.caption for image in draft_of(site, at).shown] == [*written[:2], *[""] * 6]


def test_captions_typed_by_hand_are_replaced_only_if_that_is_asked_for(site, starter):
    at = example(site)
    response = site.client.post(f"{at}/captions/write", data={"captioner": "starter"})
    assert response.status_code == 422 and "written by hand" in text_of(tree(response).xpath("//*[@role='alert']")[0])
    site.client.post(f"{at}/captions/write", data={"captioner": "starter", "everything": "true"})
    execute_queue(site.studio)
    site.page(f"{at}/images")
    assert sum("sks" not in text for text in captions(site, at)) >= 5
    again = site.client.post(f"{at}/captions/write", data={"captioner": "starter"})
    assert again.status_code == 303, "what a captioner wrote may be written anew"

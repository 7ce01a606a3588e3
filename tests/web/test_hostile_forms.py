"""What pages answer to forms and addresses that no browser sends: one line, and never a fault of the server."""

from __future__ import annotations

import pytest
from test_teach_images import begin

from limner.models import loading

NESTED = "[" * 15_000
BASES = [
    NESTED,
    '{"a":' * 3000,
    '{"class_word": [Infinity, "x"]}',
    '{"class_word": [1e999, "x"]}',
    '{"class_word": [NaN, "x"]}',
    '{"class_word": [%s, ""]}' % ("9" * 5000),
    '{"class_word": 5}',
    '{"class_word": [1, 2, 3]}',
    '{"option.\\ud800": [1, ""]}',
    "null",
    "5",
]


@pytest.mark.parametrize("step", ["subject", "recipe", "settings"])
def test_a_form_that_was_filled_in_with_nonsense_is_saved_or_refused(site, step):
    for base in BASES:
        at = begin(site)
        sent = site.client.post(f"{at}/{step}", data={"base": base, "class_word": "dog", "author": "me", "steps": "7"})
        assert sent.status_code in (303, 409, 422), base[:24]
        assert site.client.get(f"{at}/{'images' if step == 'settings' else step}").status_code == 200, base[:24]


def test_an_asset_that_is_none_is_not_found(site):
    for name in ("%00", "a%00b", "..%2Fsite.py", "%2e%2e/site.py", "x" * 90, "vendor", "%ff", "a\\b"):
        assert site.client.get(f"/static/0123456789ab/{name}").status_code == 404, name


MODELS = ["owner/name", "owner/name/a.safetensors", "/etc", "../..", "~root", "a\0b", "x" * 4000, "folder:" + "0" * 64]


@pytest.mark.parametrize("model", MODELS, ids=lambda text: text[:10])
def test_the_name_of_a_model_reads_no_file_and_asks_no_host(site, monkeypatch, model):
    asked = []
    resolve = loading.resolve
    monkeypatch.setattr(loading, "resolve", lambda name, *more: (asked.append(name), resolve(name, *more))[1])
    at = begin(site)
    values = {"model": model, "class_word": "dog", "identifier": "sks"}
    assert site.client.post(f"{at}/subject", data=values).status_code in (303, 422)
    for step in ("subject", "recipe", "train"):
        assert site.client.get(f"{at}/{step}").status_code == 200
    assert site.client.get(f"{at}/subject/images", params={"model": model}).status_code == 200
    assert model not in asked

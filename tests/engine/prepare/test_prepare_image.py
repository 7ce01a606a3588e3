"""Preparing one image: what is too small, what is enlarged, and what the user's limits change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Entry, Rights
from limner.core.requests import PrepareRequest
from limner.data.entries.byte_sources import FileBytes
from limner.engine.prepare.image import prepare_image
from limner.engine.prepare.plan import actions_of, limits_of, plan_of, reading_digest
from limner.engine.prepare.staging import Record


def record_of(folder: Path, size: tuple[int, int], **asked: object) -> Record:
    """The record of an image of a (width, height)."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    request = PrepareRequest.model_validate({"sources": [str(folder)], "size": 64, "crop": "centre", **asked})
    return prepare_image((0, Entry("a.png", FileBytes(folder / "a.png")), ""), plan_of(request, folder))


def of_size(record: Record) -> list[str]:
    return [fault.kind for fault in record.faults if fault.kind in ("small", "enlarged")]


@pytest.mark.parametrize(("side", "kinds"), [(31, ["small"]), (32, ["enlarged"]), (63, ["enlarged"]), (64, [])])
def test_half_the_size_is_enlarged_and_less_is_too_small(tmp_path: Path, side: int, kinds: list[str]) -> None:
    record = record_of(tmp_path, (side, 2 * side))
    assert of_size(record) == kinds and (record.picture is None) == (kinds == ["small"])


def test_limits_are_the_users(tmp_path: Path) -> None:
    assert of_size(record_of(tmp_path, (63, 63), limit=["enlarged=1.1"])) == []
    assert of_size(record_of(tmp_path, (48, 48), limit=["small=0.8"])) == ["small"]
    assert of_size(record_of(tmp_path, (16, 16), ignore=["small", "enlarged"])) == []


@pytest.mark.parametrize(("size", "shape"), [((32, 48), (32, 48)), ((128, 96), (85, 64)), ((96, 640), (64, 427))])
def test_without_a_crop_nothing_is_enlarged(tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]) -> None:
    record = record_of(tmp_path, size, crop="none", ignore=["odd_shape"])
    assert (record.box, record.shape) == ((0, 0, *size), shape)
    with Image.open(tmp_path / str(record.picture)) as written:
        assert written.size == shape


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="">{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
UNKNOWN = Rights()
EMBEDDED = {
    "author": "<dc:creator>in the file</dc:creator>",
    "licence": "<cc:license>in the file</cc:license>",
    "source": "<dc:source>in the file</dc:source>",
}


def rights_of(folder: Path, embedded: str = "", beside: Rights = UNKNOWN, **asked: str) -> Rights:
    """The rights of an image with XMP in its file, rights in a file beside it, and those of a request."""
    Image.new("RGB", (64, 64)).save(folder / "a.jpg", xmp=XMP.format(embedded).encode())
    request = PrepareRequest.model_validate({"sources": [str(folder)], "size": 64, **asked})
    entry = Entry("a.jpg", FileBytes(folder / "a.jpg"), rights=beside)
    return prepare_image((0, entry, ""), plan_of(request, folder)).rights


@pytest.mark.parametrize(
    ("fact", "flag"), [("author", "author"), ("licence", "licence"), ("source", "origin"), ("consent", "consent")]
)
def test_rights_beside_an_image_count_first_then_those_in_it_then_the_requests(
    tmp_path: Path, fact: str, flag: str
) -> None:
    embedded, beside, asked = EMBEDDED.get(fact, ""), replace(UNKNOWN, **{fact: "beside it"}), {flag: "asked"}
    assert getattr(rights_of(tmp_path, embedded, beside, **asked), fact) == "beside it"
    assert getattr(rights_of(tmp_path, embedded, **asked), fact) == ("in the file" if embedded else "asked")
    assert getattr(rights_of(tmp_path, **asked), fact) == "asked"
    assert getattr(rights_of(tmp_path), fact) is None


def test_rights_from_several_places_complete_each_other(tmp_path: Path) -> None:
    found = rights_of(tmp_path, EMBEDDED["licence"], Rights(author="beside it"), origin="asked", consent="asked")
    assert found == Rights("beside it", "in the file", "asked", "asked")


@pytest.mark.parametrize(
    ("term", "beside", "training", "statement"),
    [
        ("", None, None, None),
        ("ALLOWED", None, "allowed", "PLUS data mining: ALLOWED"),
        ("ALLOWED", "allowed", "allowed", "beside it"),
        ("ALLOWED", "refused", "refused", "beside it"),
        ("PROHIBITED", None, "refused", "PLUS data mining: PROHIBITED"),
        ("PROHIBITED", "allowed", "refused", "PLUS data mining: PROHIBITED"),
        ("PROHIBITED", "refused", "refused", "beside it"),
        ("", "refused", "refused", "beside it"),
    ],
)
def test_a_refusal_of_training_holds_in_the_image_and_beside_it(
    tmp_path: Path,
    term: str,
    beside: Literal["allowed", "refused"] | None,
    training: str | None,
    statement: str | None,
) -> None:
    rights = Rights(training=beside, statement="beside it") if beside else UNKNOWN
    embedded = f"<plus:DataMining>{term}</plus:DataMining>" if term else ""
    found = rights_of(tmp_path, embedded, rights)
    assert (found.training, found.statement) == (training, statement)


def request(**asked: object) -> PrepareRequest:
    return PrepareRequest.model_validate({"sources": ["x"], **asked})


def test_the_request_chooses_the_action_for_a_fault() -> None:
    usual, asked = actions_of(request()), actions_of(request(drop=["blurred"], flag=["small"], ignore=["border"]))
    assert [usual[name] for name in ("blurred", "small", "border", "refused")] == ["flag", "drop", "flag", "drop"]
    assert [asked[name] for name in ("blurred", "small", "border", "refused")] == ["drop", "flag", "ignore", "drop"]
    assert actions_of(request(despite="they are mine"))["refused"] == "flag"


def test_only_faults_that_are_not_ignored_have_limits() -> None:
    limits = limits_of(request(limit=["blurred=60"], ignore=["border"]))
    assert limits["blurred"] == 60 and limits["small"] == 0.5
    assert "border" not in limits and "grey" not in limits and "duplicate" not in limits
    assert limits_of(request(flag=["grey"]))["grey"] == 0.02


@pytest.mark.parametrize(
    "change",
    [
        {"size": 64},
        {"crop": "centre"},
        {"buckets": True, "crop": "centre"},
        {"detector": "face"},
        {"detector_model": "x"},
        {"class_word": "cat"},
        {"make_masks": True},
        {"limit": ["blurred=60"]},
        {"drop": ["blurred"]},
        {"flag": ["small"]},
        {"ignore": ["border"]},
        {"author": "Ann"},
        {"licence": "CC0"},
        {"origin": "a book"},
        {"consent": "yes"},
        {"despite": "they are mine"},
        {"format": "png"},
        {"quality": 80},
    ],
)
def test_staged_images_are_reused_only_under_the_same_settings(tmp_path: Path, change: dict[str, object]) -> None:
    assert plan_of(request(**change), tmp_path) != plan_of(request(), tmp_path)
    assert reading_digest(request(**change)) != reading_digest(request()) == reading_digest(request(seed=7))

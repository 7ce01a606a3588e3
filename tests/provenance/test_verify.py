"""Verification: ours or not, changed or not, and what is left without metadata."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner import GenerateRequest, LimnerError, Studio
from limner.core.execution import split_body
from limner.provenance import watermark
from limner.provenance.credentials import manifests
from limner.provenance.labels import Label, a1111_parameters, write_png
from limner.provenance.verify import (
    PROBLEMS,
    STATES,
    LabelSummary,
    VerificationState,
    WatermarkSummary,
    verify,
    verify_bytes,
)
from limner.provenance.xmp import source_type

LABEL = Label(
    request=GenerateRequest(prompt="a dog"),
    index=0,
    seed=7,
    version="0.1.0",
    model={"reference": "starter", "sha256": "a" * 64, "licence": "apache-2.0"},
    adapters=({"name": "rex", "path": "/a/rex.safetensors", "sha256": "0" * 64, "weight": 0.8},),
)


def textured(side=256, seed=0):
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(60, 200, (16, 16, 3), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(rough) + rng.normal(0, 4, (side, side, 1)), 0, 255).astype(np.uint8)


@pytest.fixture
def studio(home):
    return Studio()


@pytest.fixture
def picture(studio, tmp_path):
    """A picture as `limner generate` leaves it, with its place in the history."""
    pixels = textured()
    name = watermark.payload_for(pixels)
    path = tmp_path / "a.png"
    write_png(Image.fromarray(watermark.embed(pixels, name)), path, LABEL)
    run = studio.submit(split_body(LABEL.request)[0])
    studio.store.add_artifact(run.id, "picture", path, "0" * 64, {"mark": f"{name:08x}"})
    return path, run.id, f"{name:08x}"


def test_ours_as_it_was_made(studio, picture):
    path, run, name = picture
    verdict = studio.images.verify(path)
    assert verdict.state is VerificationState.OURS and verdict.good and verdict.unchanged and verdict.problems == ()
    assert verdict.source == "trainedAlgorithmicMedia" and verdict.software.startswith("Limner ")
    assert verdict.label.model_dump() == {"version": "0.1.0", "model": "starter", "adapters": ("rex",), "seed": 7}
    assert (verdict.mark.name, verdict.mark.run, verdict.run) == (name, run, None)
    assert studio.images.verify(path, lambda run: False).mark.run is None
    assert verdict.signed is not None and str(path.parent) not in verdict.model_dump_json()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_saved_anew_it_is_still_known_by_its_mark(studio, picture, tmp_path, kind):
    path, run, name = picture
    with Image.open(path) as image:
        Image.fromarray(np.asarray(image)).save(tmp_path / "b", kind, quality=80)
    verdict = studio.images.verify(tmp_path / "b")
    assert (
        verdict.state is VerificationState.STRIPPED and verdict.unchanged is None and "saved again" in verdict.message
    )
    assert (verdict.mark.name, verdict.mark.run) == (name, run) and verdict.label is None


def test_changed_after_it_was_signed(studio, picture):
    path, _, _ = picture
    data = path.read_bytes()
    at = data.index(b"a dog")
    verdict = verify_bytes(data[:at] + b"b" + data[at + 1 :], "b.png")
    assert verdict.state is VerificationState.CHANGED and verdict.unchanged is False and not verdict.good
    assert PROBLEMS["assertion.dataHash.mismatch"] in verdict.problems
    assert any("damaged" in text for text in verdict.problems), "and its checksum is wrong"
    at = data.index(b"IDAT") + 2000
    assert verify_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :], "b.png").state is VerificationState.CHANGED
    with pytest.raises(LimnerError, match="damaged or unfinished"):
        verify_bytes(data[:-4000], "b.png")


def test_credentials_of_one_picture_on_another(studio, picture, tmp_path):
    """The chunk with the credentials is taken over, the pixels are not."""
    data = picture[0].read_bytes()
    at = data.index(b"caBX") - 4
    chunk = data[at : at + struct.unpack(">I", data[at : at + 4])[0] + 12]
    Image.fromarray(textured(seed=5)).save(tmp_path / "other.png")
    other = (tmp_path / "other.png").read_bytes()
    assert verify_bytes(other[:33] + chunk + other[33:], "x.png").state is VerificationState.CHANGED


def test_made_by_another_limner(studio, picture, tmp_path):
    verdict = verify_bytes(picture[0].read_bytes(), "a.png", tmp_path / "another")
    assert verdict.state is VerificationState.FOREIGN and verdict.unchanged and not verdict.good
    assert verdict.software.startswith("Limner ") and verdict.mark is not None


def test_a_picture_of_somebody_else(studio, tmp_path):
    Image.fromarray(textured(seed=3)).save(tmp_path / "x.png")
    verdict = studio.images.verify(tmp_path / "x.png")
    assert verdict.state is VerificationState.UNKNOWN and verdict.message == STATES[VerificationState.UNKNOWN]
    assert verdict.mark is verdict.label is verdict.source is verdict.unchanged is None


def test_every_state_has_its_words():
    assert set(STATES) == set(VerificationState)


def test_no_address_in_a_picture_is_called(studio, tmp_path, monkeypatch):
    """XMP may name a manifest elsewhere (C2PA 2.2, section 11.3); a verifier that fetched it would be a way inside."""
    called = []
    monkeypatch.setattr("socket.socket.connect", lambda *arguments: called.append(arguments))
    info = PngInfo()
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    packet += '<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" '
    packet += 'dcterms:provenance="http://127.0.0.1:9/a.c2pa"/></rdf:RDF></x:xmpmeta>'
    info.add_itxt("XML:com.adobe.xmp", packet)
    Image.new("RGB", (40, 40)).save(tmp_path / "x.png", pnginfo=info)
    assert studio.images.verify(tmp_path / "x.png").state in (VerificationState.UNKNOWN, VerificationState.CHANGED)
    assert called == []


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, *chunks):
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + b"".join(chunks)
    )


def gif():
    file = BytesIO()
    Image.new("RGB", (9, 9)).save(file, "GIF")
    return file.getvalue()


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "only a head": b"\x89PNG\r\n\x1a\n",
    "a bomb": png(100_000, 100_000, chunk(b"IDAT", zlib.compress(b"\0" * 10**6)), chunk(b"IEND", b"")),
    "many pixels": png(9000, 9000, chunk(b"IDAT", b""), chunk(b"IEND", b"")),
    "no pixels": png(50, 50, chunk(b"IEND", b"")),
    "an endless chunk": png(50, 50, b"\xff\xff\xff\xffIDATxx"),
    "a text bomb": png(50, 50, chunk(b"zTXt", b"limner\0\0" + zlib.compress(b"x" * 10**8)), chunk(b"IEND", b"")),
    "a GIF": gif(),
    "RIFF": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\xff" * 200,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_one_line(home, case):
    with pytest.raises(LimnerError) as caught:
        verify_bytes(HOSTILE[case], "a\n.png")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


@pytest.mark.parametrize("body", [b"", b"\0" * 5000, b"\0\0\0\x20jumb" + b"\xff" * 5000, b"\0\0\0\0jumb\0\0\0\0jumd"])
def test_hostile_credentials_are_not_ours(home, body):
    rows = zlib.compress(b"".join(b"\0" + bytes(150) for _ in range(50)))
    data = png(50, 50, chunk(b"caBX", body), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    assert verify_bytes(data, "a.png").state in (VerificationState.CHANGED, VerificationState.UNKNOWN)


def test_the_source_type_in_any_spelling():
    begin = b"xx<x:xmpmeta "
    url = b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
    assert source_type(begin + b'><a p:DigitalSourceType="' + url + b'"/>') == "compositeSynthetic"
    assert source_type(begin + b"><q:DigitalSourceType>" + url + b"</q:DigitalSourceType>") == "compositeSynthetic"
    assert source_type(b"DigitalSourceType>" + url) is None and source_type(b"") is None


# The command


def test_the_command_and_its_exit_codes(limner, studio, picture, tmp_path):
    path, run, name = picture
    said = limner("verify", path)
    assert said.code == 0 and "ours, made here" in said.out and run in said.out and name in said.out
    assert "model 'starter' with rex, seed 7" in said.out
    with Image.open(path) as image:
        image.convert("RGB").save(tmp_path / "b.jpg", quality=75)
    for images in ((path, tmp_path / "b.jpg"), (tmp_path / "b.jpg", path)):
        both = limner("verify", *images)
        assert both.code == 1 and "b.jpg: stripped, made by Limner" in both.out and "ours" in both.out
    (tmp_path / "t.png").write_text("text")
    assert "'t.png' is not a PNG, JPEG or WebP image" in limner("verify", tmp_path / "t.png").error
    assert limner("verify", tmp_path / "t.png").code == 2
    assert "no image is given" in limner("verify").error
    assert "Exit codes" in limner("verify", "--help").out


# What is painted


def test_what_the_starter_paints_is_marked_signed_and_the_same_again(starter, studio, tmp_path):
    request = GenerateRequest(prompt="a photo of a cat on the beach", steps=4)
    run = studio.run(request, tmp_path / "first")
    verdict = studio.images.verify(tmp_path / "first" / "0001.png")
    assert verdict.state is VerificationState.OURS and verdict.run == run.id
    if verdict.mark is not None:
        assert verdict.mark.run == run.id
    studio.reproduce(tmp_path / "first" / "0001.png", tmp_path / "again")
    files = [(tmp_path / name / "0001.png").read_bytes() for name in ("first", "again")]
    one, two = (np.asarray(Image.open(BytesIO(data))) for data in files)
    assert np.array_equal(one, two) and files[0] != files[1], "the pixels are the same, the moment of signing is not"


def test_a_photograph_that_was_changed_by_a_model_is_labelled(studio, tiny_sd, tmp_path):
    Image.fromarray(textured(64)).save(tmp_path / "photograph.png")
    plain = {"prompt": "a cat", "model": str(tiny_sd), "steps": 2, "width": 64, "height": 64}
    sources = []
    for name, image in (
        ("words", None),
        ("photograph", tmp_path / "photograph.png"),
        ("ours", tmp_path / "words/0001.png"),
    ):
        studio.run(GenerateRequest(**plain, image=image and str(image)), tmp_path / name)
        data = (tmp_path / name / "0001.png").read_bytes()
        found = source_type(data)
        assert data.count(f"digitalsourcetype/{found}".encode()) == 2, "XMP and the credentials say the same"
        sources.append(found)
    assert sources == ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"]


def test_the_home_given_decides_whose_an_image_is(tmp_path):
    homes = tmp_path / "a", tmp_path / "b"
    path = tmp_path / "a.png"
    write_png(Image.new("RGB", (40, 40)), path, LABEL, "compositeSynthetic", homes[0])
    assert [verify(path, home).state.value for home in homes] == ["ours", "foreign"]
    assert verify(path, homes[0]).source == "compositeSynthetic"
    active, problems = manifests.read_manifest(path.read_bytes(), "image/png", manifests.offline_context())
    assert "digitalsourcetype/compositeSynthetic" in str(active) and not problems
    file = BytesIO()
    Image.new("RGB", (40, 40)).save(file, "JPEG")
    signed = manifests.sign(file.getvalue(), "compositeSynthetic", homes[0], "image/jpeg")
    assert [verify_bytes(signed, "a.jpg", home).state.value for home in homes] == ["ours", "foreign"]


@pytest.mark.parametrize(("payload", "name"), [(0x0F, "0000000f"), (2**30 - 1, "3fffffff"), (None, None)])
def test_a_watermark_and_a_label_are_told_as_they_were_found(tmp_path, monkeypatch, payload, name):
    found = watermark.DetectedWatermark(payload, 1e-9, True)
    monkeypatch.setattr(watermark, "detect", lambda pixels: found)
    label = LABEL.model_copy(update={"model": LABEL.model | {"reference": "who/base"}})
    write_png(Image.new("RGB", (40, 40)), tmp_path / "a.png", label, home=tmp_path)
    verdict = verify(tmp_path / "a.png", tmp_path)
    assert verdict.mark == WatermarkSummary(name=name, chance=1e-9, mirrored=True)
    assert verdict.label == LabelSummary(version="0.1.0", model="who/base", adapters=("rex",), seed=7)


def test_an_image_without_credentials_is_neither_changed_nor_unchanged(tmp_path):
    file = BytesIO()
    Image.new("RGB", (40, 40)).save(file, "PNG")
    verdict = verify_bytes(file.getvalue(), "a.png", tmp_path)
    assert verdict.state is VerificationState.UNKNOWN and verdict.unchanged is None and not verdict.good


def test_a_size_that_is_known_by_half_is_not_in_the_parameters():
    label = LABEL.model_copy(update={"request": GenerateRequest(prompt="a dog", width=64)})
    assert "Size" not in a1111_parameters(label) and "Size: 64x32" in a1111_parameters(label, (64, 32))
    label = LABEL.model_copy(update={"request": GenerateRequest(prompt="a dog", width=64, height=32)})
    assert "Size: 64x32" in a1111_parameters(label)

"""Watermark, labels and credentials: each constant checked against scipy and the standards, on both sides."""

from __future__ import annotations

import datetime as dt
import hashlib
import struct
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError
from scipy import ndimage, stats

from limner import GenerateRequest
from limner.core.errors import LimnerError
from limner.engine.generate import reproduce
from limner.provenance import labels, verify
from limner.provenance.credentials import CredentialReport, keys
from limner.provenance.credentials.manifests import build_manifest
from limner.provenance.labels import Label, parse_label, read_label, write_png
from limner.provenance.verify import VerificationState, state_of
from limner.provenance.watermark import pattern
from limner.provenance.watermark.detect import PayloadMatch, accept, decode_payload
from limner.provenance.xmp import is_fully_generated, source_type, write_packet

embed, detect = (import_module(f"limner.provenance.watermark.{name}") for name in ("embed", "detect"))
manifests = import_module("limner.provenance.credentials.manifests")
RNG = np.random.default_rng(0)


# The mark: what it is made of


def test_its_name_is_the_last_30_bits_of_the_first_eight_bytes_of_the_pictures_hash():
    pixels = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    first = struct.unpack(">Q", hashlib.sha256(pixels.tobytes()).digest()[:8])[0]
    assert embed.payload_for(pixels) == first & (2**30 - 1) and pattern.PAYLOADS == 2**30


@pytest.mark.parametrize("index", [0, 1, 2, 77, 2**14 - 1])
def test_a_row_of_the_hadamard_matrix_is_the_parity_of_shared_bits(index):
    wanted = [(-1) ** (index & column).bit_count() for column in range(2**14)]
    assert pattern.hadamard_row(index).tolist() == wanted


@pytest.mark.parametrize("reach", [1, 2])
def test_the_mean_around_is_scipys(reach):
    values = RNG.random((20, 30))
    wanted = ndimage.uniform_filter(values, 2 * reach + 1, mode="mirror")
    assert pattern.local_mean(values, reach) == pytest.approx(wanted)


def test_brightness_is_that_of_bt_601():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]], np.uint8)
    assert pattern.luma_of(colours)[0].tolist() == pytest.approx([76.245, 149.685, 29.07, 10], abs=1e-3)


def test_patterns_lie_in_their_band_and_are_of_one_size():
    """0.16 to 0.38 cycles a cell; before the peaks are cut at 2.5 deviations nothing lies outside."""
    cells = pattern.passband(128)
    rates = np.hypot(np.fft.fftfreq(128)[:, None], np.arange(65)[None] / 128)
    assert cells[(rates > 0.161) & (rates < 0.379)].all() and not cells[(rates < 0.159) | (rates > 0.381)].any()
    found = pattern.pattern_of(128, 12345)
    assert np.abs(found).max() == pytest.approx(2.5) and found.std() == pytest.approx(1, abs=0.03)
    power = np.abs(np.fft.rfft2(found)) ** 2
    assert power[cells].sum() / power.sum() > 0.99


@pytest.mark.parametrize("name", [0, 1, 0x2ABCDEF1, 2**15, 2**30 - 1])
@pytest.mark.parametrize("grid", [128, 256])
def test_a_pattern_is_read_as_its_name(name, grid):
    found = decode_payload(pattern.pattern_of(grid, name))
    assert found.payload == name and found.score > 30 and min(found.symbols) > 30


@pytest.mark.parametrize(("side", "grid"), [(128, 128), (511, 128), (512, 256), (2000, 256)])
def test_the_grid_is_finer_from_512_pixels_on(side, grid):
    assert embed.grid_of(side, 3000) == embed.grid_of(3000, side) == grid


def test_a_flat_cell_may_be_changed_by_half_a_level_and_none_by_more_than_two():
    assert embed.amplitudes(np.full((128, 128), 200.0, np.float32), 128) == pytest.approx(0.5)
    wild = embed.amplitudes(RNG.integers(0, 256, (128, 128)).astype(np.float32), 128)
    assert wild.max() == pytest.approx(2.2)
    level = RNG.normal(128, 10, (128, 128)).astype(np.float32)
    assert embed.amplitudes(level, 128).mean() == pytest.approx(0.5 + 0.07 * 10 * 0.7, abs=0.2)


@pytest.mark.parametrize(("side", "marked"), [(127, False), (128, True)])
def test_a_picture_of_less_than_128_pixels_has_no_room(monkeypatch, side, marked):
    monkeypatch.setattr(embed, "survives", lambda pixels, grid, name: True)
    pixels = np.full((side, 300, 3), 128, np.uint8)
    assert (embed.embed(pixels, 5) is not pixels) == marked
    assert (embed.embed(np.swapaxes(pixels, 0, 1), 5).std() > 0) == marked


@pytest.mark.parametrize(("side", "tried"), [(255, (0.7, 1.0, 1.4)), (256, (0.7, 1.0, 1.4, 2.0, 2.8))])
def test_it_is_as_weak_as_the_rehearsal_allows(monkeypatch, side, tried):
    """Small pictures are kept faint. Of what is tried the first that lives is taken, and the last where none does."""
    monkeypatch.setattr(embed, "amplitudes", lambda luma, grid: np.full((grid, grid), 10.0))
    pixels = np.full((side, side, 3), 128, np.uint8)
    asked = []
    monkeypatch.setattr(embed, "survives", lambda marked, grid, name: asked.append(marked) or False)
    whole = embed.embed(pixels, 5)
    deviations = [np.abs(each.astype(float) - 128).mean() for each in asked]
    assert len(asked) == len(tried) and deviations == sorted(deviations) and np.array_equal(whole, asked[-1])
    assert [each / deviations[0] for each in deviations] == pytest.approx([each / 0.7 for each in tried], rel=0.03)
    answers = iter([False, True])
    monkeypatch.setattr(embed, "survives", lambda marked, grid, name: next(answers))
    assert np.array_equal(embed.embed(pixels, 5), asked[1])
    asked.clear()
    monkeypatch.setattr(embed, "survives", lambda marked, grid, name: asked.append(marked) or False)
    embed.embed(pixels, 5, np.full((side, side), 255, np.uint8))
    assert len(asked) == 3, "a part of a picture is kept faint too"


@pytest.mark.parametrize(
    ("name", "score", "margin", "lives"),
    [(7, 8.0, 1.51, True), (7, 8.0, 1.5, False), (8, 8.0, 3.0, False), (7, 7.03, 3.0, False), (7, 7.04, 3.0, True)],
)
def test_in_the_rehearsal_it_is_read_with_something_to_spare(monkeypatch, name, score, margin, lives):
    """1.5 deviations of margin, and a chance below 1e-12, which is a score of 7.035 where the symbols say nothing."""
    assert stats.norm.isf(1e-12) == pytest.approx(7.0345, abs=1e-3)
    monkeypatch.setattr(embed, "decode_payload", lambda seen: PayloadMatch(name, score, (0.0, 0.0), margin))
    assert embed.survives(np.zeros((128, 128, 3), np.uint8), 128, 7) == lives


# The mark: how it is read


@pytest.mark.parametrize("deviations", [-1.0, 0.0, 1.96, 5.0, 8.0])
def test_the_tail_is_the_normal_ones(deviations):
    assert detect.tail(deviations) == pytest.approx(stats.norm.sf(deviations), rel=1e-6, abs=0)


@pytest.mark.parametrize("places", [1, 10, 1000])
def test_the_chance_is_of_the_best_of_all_places_and_of_all_symbols(places):
    """Bonferroni: 2^14 rows in two signs for each symbol, and the first pattern at the best of its places."""
    found = PayloadMatch(0, 6.0, (5.0, 6.0), 2.0).chance(places)
    wanted = places * stats.norm.sf(6) * (2**15 * stats.norm.sf(5)) * (2**15 * stats.norm.sf(6))
    assert found == pytest.approx(wanted, rel=1e-6, abs=0)
    assert PayloadMatch(0, 6.0, (0.0, 0.0), 2.0).chance(places) == pytest.approx(places * stats.norm.sf(6))
    assert PayloadMatch(0, -3.0, (0.0, 0.0), 2.0).chance(places) == pytest.approx(min(1, places * stats.norm.sf(-3)))


def test_a_mark_is_one_in_ten_million_and_its_name_a_deviation_ahead():
    edge = stats.norm.isf(1e-7)
    assert accept(PayloadMatch(5, edge - 1e-3, (0.0, 0.0), 2.0), 1, False) is None
    found = accept(PayloadMatch(5, edge + 1e-3, (0.0, 0.0), 1.001), 1, True)
    assert (found.payload, found.mirrored) == (5, True) and found.chance == pytest.approx(1e-7, rel=0.01)
    assert accept(PayloadMatch(5, edge + 1e-3, (0.0, 0.0), 1.0), 1, False).payload is None
    assert accept(PayloadMatch(5, edge + 1e-3, (0.0, 0.0), 2.0), 2, False) is None, "two places, twice the chance"


@pytest.mark.parametrize(("side", "looked"), [(31, False), (32, True)])
def test_below_32_pixels_it_is_not_looked_for(monkeypatch, side, looked):
    monkeypatch.setattr(detect, "detect_whole", lambda luma: "found")
    assert (detect.detect(np.zeros((side, 90, 3), np.uint8)) == "found") == looked
    assert (detect.detect(np.zeros((90, side, 3), np.uint8)) == "found") == looked


@pytest.mark.parametrize(("side", "grids"), [(32, [128]), (153, [128]), (154, [128, 256]), (900, [128, 256])])
def test_the_fine_grid_takes_six_tenths_of_a_pixel_a_cell(side, grids):
    assert detect.grids(np.zeros((side, 1000))) == grids


def test_a_part_may_have_lost_15_percent_of_a_side():
    assert detect.sides(128) == [128, 125, 122, 118, 115, 112, 109]
    assert min(detect.sides(256)) == 218 and len(detect.sides(256)) == 13


def test_power_is_parsevals():
    values = RNG.normal(size=(16, 16))
    assert detect.power(np.fft.rfft2(values)) == pytest.approx((values**2).sum())


def test_turned_views_are_of_half_and_whole_degrees():
    values = np.add.outer(50 * np.arange(128.0), np.zeros(128))
    views, inside = detect.rotated(values), np.arange(20, 108)
    slopes = [[np.polyfit(inside, line[inside], 1)[0] for line in (view[64], view[:, 64])] for view in views]
    degrees = [float(np.degrees(np.arctan(across / down))) for across, down in slopes]
    assert sorted(degrees) == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=0.2) and views[0] is values


# Verifying


FOUND = {by: CredentialReport(by, ()) for by in ("this installation", "a trusted root", "nobody known")}


@pytest.mark.parametrize(
    ("finding", "limners", "state"),
    [
        (None, False, VerificationState.UNKNOWN),
        (None, True, VerificationState.STRIPPED),
        (FOUND["this installation"], False, VerificationState.OURS),
        (FOUND["a trusted root"], True, VerificationState.TRUSTED),
        (FOUND["nobody known"], True, VerificationState.FOREIGN),
        (CredentialReport("this installation", ("changed",)), True, VerificationState.CHANGED),
        (CredentialReport("nobody known", ("changed",)), False, VerificationState.CHANGED),
    ],
)
def test_one_word_for_all(finding, limners, state):
    assert state_of(finding, limners) is state


def png(size):
    file = BytesIO()
    Image.new("L", size).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "seen"), [((1024, 1500), (1024, 1500)), ((1025, 1025), (1024, 1024)), ((4096, 2048), (2048, 1024))]
)
def test_a_large_picture_is_reduced_to_1024_pixels(size, seen):
    assert verify.pixels_for_detection(png(size), "a.png").shape[1::-1] == seen


def test_at_most_64_million_pixels_are_looked_at(monkeypatch):
    limits = []
    monkeypatch.setattr(verify, "decode", lambda data, path, cap: limits.append(cap) or Image.new("RGB", (9, 9)))
    verify.pixels_for_detection(b"", "a.png")
    assert limits == [64_000_000]


@pytest.mark.parametrize(
    ("source", "painted"),
    [
        ("trainedAlgorithmicMedia", True),
        ("compositeWithTrainedAlgorithmicMedia", False),
        ("compositeSynthetic", False),
        ("algorithmicMedia", False),
    ],
)
def test_only_fully_generated_images_say_so(source, painted):
    data = b"xx" + write_packet(source).encode()
    assert source_type(data) == source and is_fully_generated(data) == painted


@pytest.mark.parametrize(("distance", "found"), [(2**20 - 300, True), (2**20, False)])
def test_xmp_is_searched_for_a_mebibyte(distance, found):
    begin, rest = b"<x:xmpmeta>", write_packet("compositeSynthetic").encode().split(b"<x:xmpmeta", 1)[1]
    assert (source_type(begin + b" " * distance + rest) is not None) == found


# Labels


def label(**fields):
    mark = {"reference": "starter", "sha256": "a" * 64, "licence": "mit"}
    return Label.model_validate(
        {"request": GenerateRequest(prompt="a"), "index": 0, "seed": 1, "version": "1", "model": mark} | fields
    )


@pytest.mark.parametrize(
    ("field", "least", "most", "below", "above"),
    [("index", 0, 10**6, -1, None), ("seed", 0, 2**64 - 1, -1, 2**64), ("together", 1, 256, 0, 257)],
)
def test_a_labels_numbers_have_ends(field, least, most, below, above):
    for value in (least, most):
        assert getattr(label(**{field: value}), field) == value
    for value in filter(lambda value: value is not None, (below, above)):
        with pytest.raises(ValidationError):
            label(**{field: value})


@pytest.mark.parametrize("more", [0, 1])
def test_a_label_of_a_mebibyte_is_read_and_of_more_is_not(monkeypatch, more):
    text = label().model_dump_json()
    text += " " * (2**20 + more - len(text))
    monkeypatch.setattr(labels, "_label_text", lambda data, path: text)
    if more:
        with pytest.raises(LimnerError, match="its label is longer than 1048576 characters"):
            parse_label(b"", "a.png")
    else:
        assert parse_label(b"", "a.png") == label()


def test_only_what_a_program_drew_is_not_signed(tmp_path):
    """Which C2PA's chunk of a PNG tells."""
    for source, signed in (
        ("algorithmicMedia", False),
        ("compositeSynthetic", True),
        ("trainedAlgorithmicMedia", True),
    ):
        write_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", source=source, home=tmp_path / "home")
        data = (tmp_path / "a.png").read_bytes()
        assert (b"caBX" in data) == signed and source_type(data) == source
    write_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", label(), "algorithmicMedia")
    assert read_label(tmp_path / "a.png") == label()


# Credentials


def test_what_is_signed_is_that_a_model_created_it_now():
    found = build_manifest("trainedAlgorithmicMedia")
    (assertion,) = found["assertions"]
    (action,) = assertion["data"]["actions"]
    assert (found["format"], assertion["label"], action["action"]) == ("image/png", "c2pa.actions.v2", "c2pa.created")
    assert action["digitalSourceType"] == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    when = dt.datetime.fromisoformat(action["when"])
    assert abs(dt.datetime.now(dt.UTC) - when) < dt.timedelta(minutes=1) and action["when"].endswith("Z")


def test_our_own_certificate_is_of_the_profile_of_c2pa():
    """C2PA 2.2, section 14.5: P-256, digitalSignature and nothing else, an extended use, key identifiers; 30 years."""
    raw, chain = keys.issue_certificates()
    key, (leaf, root) = pem.load_pem_private_key(raw, None), x509.load_pem_x509_certificates(chain)
    assert isinstance(key.curve, ec.SECP256R1) and leaf.public_key() == key.public_key()
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert root.public_key() != leaf.public_key()
    for certificate, authority in ((leaf, False), (root, True)):
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (basic.critical, basic.value.ca) == (True, authority)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (not authority, authority, authority)
        assert not (usage.content_commitment or usage.key_encipherment or usage.key_agreement)
        now = dt.datetime.now(dt.UTC)
        assert dt.timedelta(hours=23) < now - certificate.not_valid_before_utc < dt.timedelta(hours=25)
        whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert whole == dt.timedelta(days=30 * 365)
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]


def test_signatures_are_called_as_c2pa_calls_them(tmp_path):
    """C2PA 2.2, section 13.2.1; RSA from 2,048 bits on."""
    named = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
    assert [keys.algorithm(ec.generate_private_key(curve), tmp_path) for curve in named.values()] == [*named]
    assert keys.algorithm(ed25519.Ed25519PrivateKey.generate(), tmp_path) == "ed25519"
    assert keys.algorithm(rsa.generate_private_key(65537, 2048), tmp_path) == "ps256"
    for weak in (ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 2040)):
        with pytest.raises(LimnerError, match="has no signature algorithm for this kind of key"):
            keys.algorithm(weak, tmp_path)


@pytest.mark.parametrize(
    ("serial", "untrusted", "by"),
    [(7, False, "this installation"), (7, True, "nobody known"), (8, False, "nobody known"), (8, True, "nobody known")],
)
def test_a_serial_number_alone_makes_nobody_ours(monkeypatch, serial, untrusted, by):
    """Anybody may write our number into a certificate of their own, under which our root's key has not signed."""
    problems = [manifests.UNTRUSTED] if untrusted else []
    active = {"signature_info": {"cert_serial_number": str(serial)}}
    monkeypatch.setattr(manifests, "own_credentials", lambda place: [SimpleNamespace(root=b"", serial=7)])
    monkeypatch.setattr(manifests, "trusted_roots", lambda place: [])
    monkeypatch.setattr(manifests, "c2pa_context", lambda roots: None)
    monkeypatch.setattr(manifests, "read_manifest", lambda data, kind, context: (active, problems))
    found = manifests.inspect_credentials(b"", "image/png")
    assert (found.by, found.problems) == (by, ())


def test_credentials_are_read_offline_and_against_roots_alone(monkeypatch):
    import c2pa

    settings = []
    monkeypatch.setattr(c2pa.Context, "from_dict", settings.append)
    manifests.c2pa_context([])
    manifests.c2pa_context([b"one", b"two"])
    assert [each["trust"] for each in settings] == [{}, {"trust_anchors": "onetwo"}]
    assert settings[0]["verify"] == {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}


# Painting again


def test_an_adapter_is_the_one_with_the_bits_wherever_it_lies(tmp_path):
    for name, text in (("old", "other"), ("moved", "mine"), ("several", "mine")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.safetensors").write_text(text)
    (tmp_path / "several" / "0.safetensors").write_text("other")
    mine = hashlib.sha256(b"mine").hexdigest()

    def found(path, *places):
        return reproduce._same_adapter(str(tmp_path / path), mine, lambda sha256: [str(tmp_path / p) for p in places])

    assert found("moved") == str(tmp_path / "moved")
    assert found("old", "nowhere", "moved") == str(tmp_path / "moved")
    assert found("several") == str(tmp_path / "several" / "a.safetensors"), "of several files the one is named"
    assert found("moved/a.safetensors") == str(tmp_path / "moved" / "a.safetensors")
    with pytest.raises(LimnerError, match=f"is gone or was changed .*{mine[:12]}"):
        found("old")


@pytest.mark.parametrize(
    ("here", "recorded", "warned"),
    [(["a" * 64], "a" * 64, False), (["b" * 64], "a" * 64, True), ([], "a" * 64, False), (["b" * 64], None, False)],
)
def test_other_weights_of_the_same_name_are_a_warning(monkeypatch, here, recorded, warned):
    monkeypatch.setattr(reproduce, "resolve", lambda model: SimpleNamespace(fingerprints=lambda: here))
    events = []
    reproduce._warn_of_other_weights("sd15", recorded, events.append)
    assert [event.level for event in events] == ["warning"] * warned


def test_a_text_chunk_of_a_stranger_is_no_label(tmp_path):
    info = PngInfo()
    info.add_text("Limner", "{}")
    Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert read_label(Path(tmp_path / "a.png")) is None

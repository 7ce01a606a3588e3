"""Content credentials: c2pa's own reader accepts our images and no changed ones; our keys and the user's."""

from __future__ import annotations

import datetime as dt
import hashlib
import stat
import struct
import subprocess
import sys
from contextlib import suppress
from io import BytesIO

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from limner import GenerateRequest, LimnerError, Studio
from limner.provenance import credentials
from limner.provenance.credentials import keys
from limner.provenance.labels import Label, write_png
from limner.provenance.verify import VerificationState, verify_bytes

SECRET = "a very private prompt"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a key of its own."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def signed(home):
    """The bytes of a labelled and signed picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    mark = {"reference": "starter", "sha256": "a" * 64, "licence": "apache-2.0"}
    label = Label(request=GenerateRequest(prompt=SECRET), index=0, seed=1, version="0.1.0", model=mark)
    write_png(Image.fromarray(pixels), home / "a.png", label, home=home)
    return (home / "a.png").read_bytes()


def read(data, *roots, kind="image/png"):
    """What c2pa's reader says of a file: its state, or "refused" where it reads none."""
    trust = {"trust_anchors": b"".join(roots).decode()} if roots else {}
    context = c2pa.Context.from_dict({"trust": trust, "verify": {"remote_manifest_fetch": False}})
    try:
        with c2pa.Reader(kind, BytesIO(data), context=context) as reader:
            return reader.get_validation_state(), reader.get_active_manifest()
    except c2pa.C2paError:
        return "refused", None


def chunks(data):
    """Kind -> (first byte, byte after the last) of each PNG chunk, with its length and checksum."""
    found, at = {}, 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        found[data[at + 4 : at + 8].decode()] = (at, at + length + 12)
        at += length + 12
    return found


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_c2pas_own_reader_validates(signed, home):
    assert read(signed)[0] == "Valid"
    state, manifest = read(signed, credentials.load_credentials(home).root)
    assert state == "Trusted"
    (assertion,) = manifest["assertions"]
    (action,) = assertion["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert action["softwareAgent"]["name"] == manifest["claim_generator_info"][0]["name"] == "Limner"
    first, last = chunks(signed)["caBX"]
    assert SECRET.encode() not in signed[first:last] and str(home).encode() not in signed[first:last]
    assert last - first < 5000 and SECRET.encode() in signed


def test_c2pas_own_reader_rejects_a_changed_byte(signed, home):
    """Of the pixels, texts and all else; of the credentials too, but for padding, which our own check covers."""
    first, last = chunks(signed)["caBX"]
    outside = [at for begin, end in chunks(signed).values() if begin != first for at in (begin, begin + 9, end - 1)]
    outside += [*range(0, first, 3), *range(last, len(signed), len(signed) // 40)]
    assert len(set(outside)) > 50
    for at in set(outside):
        assert read(flipped(signed, at))[0] in ("Invalid", "refused"), at
    inside = [at for at in range(first, last, 61)]
    rejected = [read(flipped(signed, at))[0] in ("Invalid", "refused") for at in inside]
    assert sum(rejected) > len(rejected) / 2
    for at in (*inside, *sorted(set(outside))[::5]):
        with suppress(LimnerError):  # it may be no picture any more
            assert not verify_bytes(flipped(signed, at), "a.png", home).good, at


def test_cut_and_grown_files_are_rejected(signed, home):
    for changed in (signed[:-1], signed + b"x", signed[:-12], signed[: len(signed) // 2]):
        try:
            assert not verify_bytes(changed, "a.png", home).good
        except LimnerError:
            assert read(changed)[0] != "Valid"


def test_the_own_key_is_private_and_made_once(home, signed):
    folder = home / "credentials" / "own"
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = (folder / "key.pem").read_bytes()
    credentials.check_signing(home)
    assert (folder / "key.pem").read_bytes() == before
    assert "key" not in repr(credentials.load_credentials(home)).replace("key.pem", "")


def test_processes_that_begin_at_once_share_a_key(tmp_path):
    script = "import sys; from pathlib import Path; from limner.provenance.credentials import load_credentials; "
    script += "sys.stdin.read(1); print(load_credentials(Path(sys.argv[1])).serial)"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "home")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in running:
        process.stdin.write(b"x")
        process.stdin.close()
    serials = [process.stdout.read() for process in running]
    assert [process.wait() for process in running] == [0, 0, 0]
    for process in running:
        process.stdout.close()
    assert len(set(serials)) == 1
    assert [path.name for path in (tmp_path / "home" / "credentials").iterdir()] == ["own"]


# The user's own


def certificate(name, issuer, key, by, authority=False, days=(-1, 100), use=True, serial=None):
    begin, end = (dt.datetime.now(dt.UTC) + dt.timedelta(days=day) for day in days)
    called = [
        x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A studio"), x509.NameAttribute(NameOID.COMMON_NAME, n)]
        )
        for n in (name, issuer)
    ]
    usage = {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    usage |= dict.fromkeys((*others, "decipher_only"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called[0])
        .issuer_name(called[1])
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if use and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(by, hashes.SHA256()).public_bytes(pem.Encoding.PEM)


def write(folder, key, *chain):
    folder.mkdir(exist_ok=True)
    raw = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    (folder / "key.pem").write_bytes(raw)
    (folder / "chain.pem").write_bytes(b"".join(chain))
    return folder


P256 = ec.generate_private_key(ec.SECP256R1())
ROOT_KEY, MIDDLE_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
ROOT = certificate("root", "root", ROOT_KEY, ROOT_KEY, authority=True)
MIDDLE = certificate("middle", "root", MIDDLE_KEY, ROOT_KEY, authority=True)


@pytest.mark.parametrize("kind", ["p384", "rsa", "without a root"])
def test_the_users_own_chain_signs(tmp_path, monkeypatch, kind):
    key = {
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }
    mine = key.get(kind, lambda: P256)()
    leaf = certificate("me", "middle", mine, MIDDLE_KEY)
    chain = (leaf, MIDDLE) if kind == "without a root" else (leaf, MIDDLE, ROOT)
    home, folder = tmp_path / "home", write(tmp_path / "mine", mine, *chain)
    image = Image.new("RGB", (40, 40), "red")
    write_png(image, tmp_path / "before.png", home=home)
    monkeypatch.setenv(keys.FOLDER, str(folder))
    credentials.check_signing(home)
    write_png(image, tmp_path / "a.png", home=home)
    assert read((tmp_path / "a.png").read_bytes(), ROOT)[0] == "Trusted"
    for name, signer in (("a.png", "me"), ("before.png", "Installation")):
        verdict = verify_bytes((tmp_path / name).read_bytes(), name, home)
        assert verdict.state is VerificationState.OURS and signer in verdict.signer
    # somebody else with a certificate of the same authority is not us
    other = ec.generate_private_key(ec.SECP256R1())
    write(tmp_path / "other", other, certificate("me", "middle", other, MIDDLE_KEY), *chain[1:])
    monkeypatch.setenv(keys.FOLDER, str(tmp_path / "other"))
    assert (
        verify_bytes((tmp_path / "a.png").read_bytes(), "a.png", tmp_path / "elsewhere").state
        is VerificationState.FOREIGN
    )


def expire(folder, key):
    """Replace the certificate in a folder by one of the same number that is valid no more."""
    serial = keys.read_credentials(folder).serial
    write(folder, key, certificate("me", "middle", key, MIDDLE_KEY, days=(-9, -1), serial=serial), MIDDLE, ROOT)


def state_of(path, home):
    return verify_bytes(path.read_bytes(), path.name, home).state


def test_images_are_still_ours_after_a_certificate_expired(tmp_path, monkeypatch):
    home, own, mine = tmp_path / "home", tmp_path / "home" / "credentials" / "own", tmp_path / "mine"
    own.mkdir(parents=True)
    write(own, P256, certificate("me", "middle", P256, MIDDLE_KEY), MIDDLE, ROOT)
    image, first, second = Image.new("RGB", (40, 40), "red"), tmp_path / "first.png", tmp_path / "second.png"
    write_png(image, first, home=home)
    expire(own, P256)
    assert state_of(first, home) is VerificationState.OURS
    other = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setenv(
        keys.FOLDER, str(write(mine, other, certificate("me", "middle", other, MIDDLE_KEY), MIDDLE, ROOT))
    )
    write_png(image, second, home=home)
    assert [state_of(path, home) for path in (first, second)] == [VerificationState.OURS] * 2
    expire(mine, other)
    assert [state_of(path, home) for path in (first, second)] == [VerificationState.OURS] * 2
    for folder in (str(mine), ""):
        monkeypatch.setenv(keys.FOLDER, folder)
        with pytest.raises(LimnerError, match="the certificate is valid from"):
            write_png(image, tmp_path / "third.png", home=home)
    assert not (tmp_path / "third.png").exists()


def wrong(case, folder):
    """A folder of credentials that cannot sign."""
    other = ec.generate_private_key(ec.SECP256R1())
    good = certificate("me", "middle", P256, MIDDLE_KEY)
    if case == "missing":
        return folder
    write(folder, P256, good, MIDDLE)
    if case == "garbage":
        (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    elif case == "mismatched":
        write(folder, other, good, MIDDLE)
    elif case == "expired":
        write(folder, P256, certificate("me", "middle", P256, MIDDLE_KEY, days=(-9, -1)), MIDDLE)
    elif case == "future":
        write(folder, P256, certificate("me", "middle", P256, MIDDLE_KEY, days=(5, 9)), MIDDLE)
    elif case == "alone":
        write(folder, P256, good)
    elif case == "disordered":
        write(folder, P256, good, ROOT, MIDDLE)
    elif case == "useless":
        write(folder, P256, certificate("me", "middle", P256, MIDDLE_KEY, use=False), MIDDLE)
    elif case == "weak":
        key = ec.generate_private_key(ec.SECP256K1())
        write(folder, key, certificate("me", "middle", key, MIDDLE_KEY), MIDDLE)
    elif case == "encrypted":
        raw = P256.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x"))
        (folder / "key.pem").write_bytes(raw)
    return folder


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("missing", "does not exist"),
        ("garbage", "key.pem or chain.pem cannot be read"),
        ("encrypted", "key.pem or chain.pem cannot be read: Password was not given"),
        ("mismatched", "the first certificate of chain.pem is not that of key.pem"),
        ("expired", "the certificate is valid from"),
        ("future", "the certificate is valid from"),
        ("alone", "has one certificate; the one that issued it is missing"),
        ("disordered", "was not issued by the next one"),
        ("useless", "C2PA rejects"),
        ("weak", "C2PA has no signature algorithm for this kind of key"),
    ],
)
def test_invalid_credentials_are_an_error_before_anything_is_generated(tmp_path, monkeypatch, case, said):
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(keys.FOLDER, str(wrong(case, tmp_path / "mine")))
    events = []
    with pytest.raises(LimnerError) as caught:
        Studio().run(GenerateRequest(prompt="x", model="no/such"), tmp_path / "out", listener=events.append)
    line = str(caught.value)
    assert said in line and "the credentials in" in line and "\n" not in line
    assert not events and not (tmp_path / "out").exists()


def test_a_root_that_is_trusted_besides(tmp_path, signed, home):
    other = tmp_path / "other"
    assert verify_bytes(signed, "a.png", other).state is VerificationState.FOREIGN
    (other / "credentials" / "trusted").mkdir(parents=True)
    (other / "credentials" / "trusted" / "them.pem").write_bytes(credentials.load_credentials(home).root)
    assert verify_bytes(signed, "a.png", other).state is VerificationState.TRUSTED


def test_what_a_program_drew_is_the_same_file_each_time(tmp_path):
    made = []
    for name in ("a.png", "b.png"):
        write_png(Image.new("RGB", (8, 8)), tmp_path / name, source="algorithmicMedia", home=tmp_path / "home")
        made.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert made[0] == made[1] and not (tmp_path / "home").exists()


def test_a_new_key_is_another_one():
    assert keys.issue_certificates()[0] != keys.issue_certificates()[0]

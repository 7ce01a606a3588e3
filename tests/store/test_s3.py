"""Tests of what only S3 does: uploads in parts, signed URLs, errors."""

import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

import s3
from limner.core.errors import LimnerError, Unavailable
from limner.store import remote
from limner.store.blobs import Blobs
from limner.store.remote import without_secrets


@pytest.fixture
def blobs(bucket: str, tmp_path: Path) -> Blobs:
    return Blobs(bucket, tmp_path / "cache")


def test_a_large_file_is_uploaded_in_parts(blobs: Blobs, tmp_path: Path) -> None:
    body = Random(7).randbytes(52 * 2**20)  # s3fs sends what is larger than 50 MiB in parts
    (tmp_path / "large").write_bytes(body)
    stored = blobs.put(tmp_path / "large")
    assert blobs.size(stored) == len(body)
    with blobs.open(stored) as file:
        file.seek(-10, 2)
        assert file.read() == body[-10:]
    assert sha256(blobs.path(stored).read_bytes()).hexdigest() == stored


def test_a_signed_url_needs_no_key(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"a picture")
    url = blobs.signed_url(blobs.put(tmp_path / "upload"), 60, "image/png")
    assert url is not None and s3.SECRET not in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"a picture" and answer.headers["Content-Type"] == "image/png"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert Blobs(str(tmp_path / "files"), tmp_path / "cache").signed_url(sha256().hexdigest(), 60, "image/png") is None


CHANGES = {
    "nobody there": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "", "cannot be reached (Could not connect"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "secret-that-is-wrong"}, "", "may not be used (The request signature"),
    "wrong key": ({"AWS_ACCESS_KEY_ID": "nobody:at-all"}, "", "may not be used ("),
    "no bucket": ({}, "nosuch", "there is no place for files at 's3://nosuchlimner/"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_unusable_s3(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    environment, before, message = CHANGES[change]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(remote.S3_CONFIG, "retries", {"max_attempts": 1, "mode": "standard"})
    s3.forget()
    blobs = Blobs(bucket.replace("s3://", f"s3://{before}"), tmp_path / "cache")
    with pytest.raises(Unavailable) as caught:
        blobs.check("one")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "secret-that" not in str(caught.value) and s3.SECRET not in str(caught.value)
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(LimnerError):
        blobs.put(tmp_path / "a")
    s3.forget()


def test_no_secret_of_a_url_is_logged() -> None:
    assert without_secrets("s3://key:secret@bucket/place?token=1") == "'s3://bucket/place'"
    assert without_secrets("/home/of@home/files") == "'/home/of@home/files'"

"""Tests that URLs and errors of remote file systems show no secrets."""

from __future__ import annotations

import pytest

from limner.core.errors import LimnerError, Unavailable
from limner.store.remote import open_file_system, translate_remote_errors, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/folder", "'s3://bucket/folder'"),
        ("s3://key:word@bucket/folder", "'s3://bucket/folder'"),
        ("https://host/a?X-Amz-Signature=abc", "'https://host/a'"),
        ("https://name:w@rd@host/a?sig=x@y", "'https://host/a'"),
        ("/srv/files", "'/srv/files'"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_a_key_in_a_url_is_refused_and_not_repeated(scheme: str) -> None:
    with pytest.raises(LimnerError, match="holds a key; give it as AWS_ACCESS_KEY_ID") as caught:
        open_file_system(f"{scheme}://AKIA:word@bucket/x")
    assert "word" not in str(caught.value) and "AKIA" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("403 for https://host/a?X-Amz-Signature=abc"), "may not be used"),
        (ConnectionError("no answer from https://host/a?sig=abc"), "cannot be reached"),
    ],
)
def test_errors_are_shown_without_signatures(error: Exception, message: str) -> None:
    with pytest.raises(Unavailable, match=message) as caught, translate_remote_errors("s3://key:word@bucket"):
        raise error
    assert "abc" not in str(caught.value) and "word" not in str(caught.value)


@pytest.mark.parametrize("error", [FileNotFoundError("x"), LimnerError("x"), ValueError("x"), KeyError("x")])
def test_other_remote_errors_are_not_translated(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translate_remote_errors("s3://bucket"):
        raise error
    assert caught.value is error

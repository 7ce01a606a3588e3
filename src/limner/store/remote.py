"""Reaching the place where files are kept, by its URL; what goes wrong there in plain words."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from limner.core.errors import LimnerError, Unavailable, clean_line

PATIENCE = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 3, "mode": "standard"}}
"""Of S3, in botocore's words; and signatures of the kind that every region takes."""


def reach(url: str) -> tuple[Any, str]:
    """The file system of fsspec that a URL names, and the place in it; LimnerError where there is no way to it.

    Endpoint and credentials of S3 come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, and from FSSPEC_S3_...
    """
    import fsspec.config  # pyright: ignore[reportMissingTypeStubs]
    import fsspec.core  # pyright: ignore[reportMissingTypeStubs]

    options: dict[str, Any] = {"use_listings_cache": False}  # others write there too
    protocol = url.partition("://")[0]
    if protocol in ("s3", "s3a"):
        for library in ("botocore", "aiobotocore"):  # they tell where they found credentials
            logging.getLogger(library).setLevel(logging.WARNING)
        told = fsspec.config.conf.get("s3", {})
        options["config_kwargs"] = PATIENCE | {"signature_version": "s3v4"} | dict(told.get("config_kwargs", {}))
    if protocol in ("s3", "s3a") and "@" in url:
        raise LimnerError(
            f"the address {shown(url)} holds a key", "give that as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    problem = f"no way to reach the files at {shown(url)}"
    try:
        with reached(url):
            return cast(tuple[Any, str], cast(Any, fsspec.core).url_to_fs(url, **options))
    except ImportError as error:
        extra = "pip install 'limner[s3]'" if protocol in ("s3", "s3a") else "install what it names"
        raise LimnerError(f"{problem} ({error})", f"{extra}, or give a folder") from error
    except ValueError as error:
        raise LimnerError(f"{problem} ({error})", "give a folder or s3://...") from error


def shown(url: str) -> str:
    """A URL without what may be secret in it."""
    scheme, mark, rest = url.partition("://")
    return repr(scheme + mark + rest.split("?")[0].rpartition("@")[2])


@contextmanager
def reached(url: str) -> Generator[None]:
    """Turn the errors of a store that is elsewhere into Unavailable, which names the store and the remedy.

    FileNotFoundError goes through, for it says that a file is not there, and whatever is no error of reaching.
    """
    try:
        yield
    except (LimnerError, FileNotFoundError):
        raise
    except PermissionError as error:
        raise Unavailable(f"the files at {shown(url)} may not be used ({_said(error)})", _KEYS) from error
    except Exception as error:
        if not _is_away(error):
            raise
        raise Unavailable(f"the files at {shown(url)} cannot be reached ({_said(error)})", _PLACE) from error


_KEYS = "check its access key and secret, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_PLACE = "check that the store runs, and its address, such as AWS_ENDPOINT_URL"


def _is_away(error: Exception) -> bool:
    """Errors of the network, and those that the libraries below raise without a common base that we could import."""
    home = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or home in ("botocore", "aiobotocore", "aiohttp")


def _said(error: Exception) -> str:
    """What a store says of itself, without the address that was asked for, whose query may hold a signature."""
    return clean_line(str(error) or type(error).__name__).partition("?")[0][:160]

"""Opens the file system of a URL, and translates its errors."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from limner.core.errors import LimnerError, Unavailable, clean_line

S3_CONFIG = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 3, "mode": "standard"}}
"""Timeouts and retries of S3 (botocore.config.Config)."""


def open_file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it. Raises LimnerError if it cannot be opened.

    Endpoint and credentials of S3 come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, and from FSSPEC_S3_...
    """
    import fsspec.config  # pyright: ignore[reportMissingTypeStubs]
    import fsspec.core  # pyright: ignore[reportMissingTypeStubs]

    options: dict[str, Any] = {"use_listings_cache": False}  # other processes write there too
    protocol = url.partition("://")[0]
    if protocol in ("s3", "s3a"):
        for library in ("botocore", "aiobotocore"):  # they log where they found credentials
            logging.getLogger(library).setLevel(logging.WARNING)
        configured = fsspec.config.conf.get("s3", {})
        signature = {"signature_version": "s3v4"}  # which every region accepts
        options["config_kwargs"] = S3_CONFIG | signature | dict(configured.get("config_kwargs", {}))
    if protocol in ("s3", "s3a") and "@" in url:
        raise LimnerError(
            f"the address {without_secrets(url)} holds a key", "give it as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    problem = f"no way to reach the files at {without_secrets(url)}"
    try:
        with translate_remote_errors(url):
            return cast(tuple[Any, str], cast(Any, fsspec.core).url_to_fs(url, **options))
    except ImportError as error:
        extra = "pip install 'limner[s3]'" if protocol in ("s3", "s3a") else "install what it names"
        raise LimnerError(f"{problem} ({error})", f"{extra}, or give a folder") from error
    except ValueError as error:
        raise LimnerError(f"{problem} ({error})", "give a folder or s3://...") from error


def without_secrets(url: str) -> str:
    """A URL without user, password and query, quoted for messages."""
    scheme, mark, rest = url.partition("://")
    return repr(scheme + mark + rest.split("?")[0].rpartition("@")[2])


@contextmanager
def translate_remote_errors(url: str) -> Generator[None]:
    """Translate network and permission errors into Unavailable, which names the file system and the remedy.

    FileNotFoundError is raised as it is, and so are all other errors.
    """
    try:
        yield
    except (LimnerError, FileNotFoundError):
        raise
    except PermissionError as error:
        raise Unavailable(
            f"the files at {without_secrets(url)} may not be used ({_message(error)})", _CHECK_KEYS
        ) from error
    except Exception as error:
        if not _is_network_error(error):
            raise
        raise Unavailable(
            f"the files at {without_secrets(url)} cannot be reached ({_message(error)})", _CHECK_ADDRESS
        ) from error


_CHECK_KEYS = "check its access key and secret, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_CHECK_ADDRESS = "check that the service runs, and its address, such as AWS_ENDPOINT_URL"


def _is_network_error(error: Exception) -> bool:
    """Whether an error is one of the network. The libraries have no common base class that could be imported."""
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or library in ("botocore", "aiobotocore", "aiohttp")


def _message(error: Exception) -> str:
    """The text of an error without the query of a URL, which may hold a signature."""
    return clean_line(str(error) or type(error).__name__).partition("?")[0][:160]

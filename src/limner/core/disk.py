"""Errors of the machine's disk, which no request causes: full, over quota, read-only, failing, without permission."""

from __future__ import annotations

import errno
import re

DISK_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EACCES,
        errno.EPERM,
        errno.ENOLCK,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
    }
)


def error_number(error: BaseException) -> int | None:
    """The `errno` of an error; safetensors reports it only in its text: "... (os error 28)"."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d{1,9})\)", str(error))
    return int(found[1]) if found else None


def is_disk_error(error: BaseException) -> bool:
    """Whether an error is one of the machine's disk."""
    return error_number(error) in DISK_ERRORS

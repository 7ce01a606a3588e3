"""Patterns of the ids, hashes and names of which rows, files and folders are made."""

from __future__ import annotations

import re

from limner.core.accounts import EVERYONE, Role
from limner.core.moderation import Stage
from limner.core.runs import Status

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of which the end of a run's id is drawn: none that look alike."""
RUN = rf"[0-9]{{6}}-[0-9]{{6}}-[{LETTERS}]{{4}}"
SHA256 = r"[0-9a-f]{64}"
REFERENCE = rf"(sha256|folder):({SHA256})"
ACCOUNT = r"[a-z0-9][a-z0-9._@+-]{0,63}"
OWNER = rf"({ACCOUNT})?"
"""An account; empty where there are no accounts."""
HOLDER = rf"{OWNER}|{re.escape(EVERYONE)}"
KEY = r"[0-9a-f]{12}"
ASKED_BY = rf"({KEY})?"
WEBHOOK = r"wh_[0-9a-f]{12}"
DELIVERY = r"msg_[0-9a-f]{24}"
STATUS, ROLE, STAGE = ("|".join(map(re.escape, words)) for words in (Status, Role, Stage))
LINE = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*"
"""Text without control characters."""

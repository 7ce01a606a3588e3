"""Regular expressions of the ids, hashes and names in rows, file names and references."""

from __future__ import annotations

import re
from typing import get_args

from limner.core.accounts import EVERYONE, Role
from limner.core.moderation import CheckStage
from limner.core.promotions import BlindChoice, PromotionStatus
from limner.core.runs import Status

RUN_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits at the end of a run's id; none that look alike."""
RUN = rf"[0-9]{{6}}-[0-9]{{6}}-[{RUN_LETTERS}]{{4}}"
SHA256 = r"[0-9a-f]{64}"
REFERENCE = rf"(sha256|folder):({SHA256})"
"""Names a stored file or folder by its content."""
ACCOUNT = r"[a-z0-9][a-z0-9._@+-]{0,63}"
OWNER = rf"({ACCOUNT})?"
"""An account; empty where there are no accounts."""
GRANTEE = rf"{OWNER}|{re.escape(EVERYONE)}"
KEY = r"[0-9a-f]{12}"
OPTIONAL_KEY = rf"({KEY})?"
COLOUR = r"[0-9a-f]{6}"
WEBHOOK = r"wh_[0-9a-f]{12}"
DELIVERY = r"msg_[0-9a-f]{24}"
ERASURE = r"[0-9a-f]{16}"
DRAFT = rf"[{RUN_LETTERS}]{{12}}"
STATUS, ROLE, STAGE, PROMOTION, BLIND_CHOICE = (
    "|".join(map(re.escape, values)) for values in (Status, Role, CheckStage, PromotionStatus, get_args(BlindChoice))
)
LINE = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*"
"""Text without control characters."""

"""Content credentials (C2PA): who made a picture, signed, so that a changed byte shows."""

from .inspect import Finding, inspect
from .keys import Credentials, credentials
from .sign import check, sign

__all__ = ["Credentials", "Finding", "check", "credentials", "inspect", "sign"]

"""Content credentials (C2PA): who made a picture, signed, so that a changed byte shows."""

from limner.provenance.credentials.inspect import Finding, inspect
from limner.provenance.credentials.keys import Credentials, credentials
from limner.provenance.credentials.sign import check, sign

__all__ = ["Credentials", "Finding", "check", "credentials", "inspect", "sign"]

"""Content credentials (C2PA): who made a picture, signed, so that a changed byte shows."""

from limner.provenance.credentials.inspect_credentials import CredentialReport, inspect_credentials
from limner.provenance.credentials.keys import Credentials, load_credentials
from limner.provenance.credentials.sign import check_signing, sign

__all__ = ["Credentials", "Finding", "check", "credentials", "inspect", "sign"]

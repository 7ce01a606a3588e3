"""Content credentials (C2PA): who made a picture, signed, so that a changed byte shows."""

from limner.provenance.credentials.keys import Credentials, load_credentials
from limner.provenance.credentials.manifests import CredentialReport, inspect
from limner.provenance.credentials.sign import check_signing, sign

__all__ = ["CredentialReport", "Credentials", "check_signing", "inspect", "load_credentials", "sign"]

"""Content credentials (C2PA): signed statements of who made an image, which show whether a byte was changed."""

from limner.provenance.credentials.keys import Credentials, load_credentials
from limner.provenance.credentials.manifests import CredentialReport, check_signing, inspect_credentials, sign

__all__ = ["CredentialReport", "Credentials", "check_signing", "inspect_credentials", "load_credentials", "sign"]

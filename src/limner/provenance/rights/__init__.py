"""Whose pictures are: what their files and what lies beside them tell, and whether they may be learnt from."""

from limner.provenance.rights.beside import rights_from_fields
from limner.provenance.rights.reading import ImageRights, read_image_rights
from limner.provenance.rights.tally import RightsCounts

__all__ = ["ImageRights", "RightsCounts", "read_image_rights", "rights_from_fields"]

"""Rights of images: author, licence, source and consent, and whether training is allowed."""

from limner.provenance.rights.counts import RightsCounts
from limner.provenance.rights.image_rights import ImageRights, read_image_rights
from limner.provenance.rights.opt_out import rights_from_fields

__all__ = ["ImageRights", "RightsCounts", "read_image_rights", "rights_from_fields"]

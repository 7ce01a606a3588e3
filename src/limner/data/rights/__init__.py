"""Whose pictures are: what their files and what lies beside them tell, and whether they may be learnt from."""

from .beside import rights_beside
from .reading import Marks, has_location, marks_of, painted_by, rights_of
from .tally import Tally, summary

__all__ = ["Marks", "Tally", "has_location", "marks_of", "painted_by", "rights_beside", "rights_of", "summary"]

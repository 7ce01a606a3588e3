"""Whose pictures are: what their files and what lies beside them tell, and whether they may be learnt from."""

from .beside import rights_beside
from .reading import Marks, marks_of
from .tally import Tally

__all__ = ["Marks", "Tally", "marks_of", "rights_beside"]

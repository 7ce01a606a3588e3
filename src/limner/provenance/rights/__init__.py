"""Whose pictures are: what their files and what lies beside them tell, and whether they may be learnt from."""

from limner.provenance.rights.beside import rights_beside
from limner.provenance.rights.reading import Marks, marks_of
from limner.provenance.rights.tally import Tally

__all__ = ["Marks", "Tally", "marks_of", "rights_beside"]

"""`python stand_in SCRIPT ...` runs a script, unmodified, with the torchvision stand-in importable by it.

transformers and diffusers ask once whether torchvision is there, and would then use far more of it than the stand-in
has: they are asked first, while it is out of sight.
"""

import importlib
import runpy
import sys

here = sys.path.pop(0)
importlib.import_module("diffusers.utils.import_utils")
importlib.import_module("transformers.utils").is_torchvision_available()
sys.path.insert(0, here)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")

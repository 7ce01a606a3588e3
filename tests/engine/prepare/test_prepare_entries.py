"""Sources of a dataset: none is inside the result, nor the result inside one, and their names are unique."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.requests import PrepareRequest
from limner.engine.prepare.entries import check_sources, prefixes


@pytest.mark.parametrize("out", ["pictures", "pictures/out", "pictures/a/b/out", "."])
def test_a_result_within_its_source_is_refused_and_so_is_a_source_within_the_result(tmp_path: Path, out: str) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    request = PrepareRequest(sources=(str(tmp_path / "pictures"),))
    with pytest.raises(LimnerError, match="are inside each other; choose another --out"):
        check_sources(request, tmp_path / out)
    check_sources(request, tmp_path / "pictures-out")


def test_sources_of_one_name_have_prefixes_of_their_own() -> None:
    assert prefixes(["x/a"]) == [""]
    assert prefixes(["x/a", "y/a/", "z/b"]) == ["a/", "a-2/", "b/"]

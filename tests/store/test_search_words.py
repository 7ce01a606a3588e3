"""The words of prompts in tantivy, after a program was killed while it wrote."""

from __future__ import annotations

import shutil

from limner.store.search.words import Words


def test_a_file_of_a_commit_that_was_not_finished_is_written_again(tmp_path):
    folder, killed = tmp_path / "words", tmp_path / "killed"
    words = Words(folder)
    words.add(0, [f"fox {number}" for number in range(200)])
    shutil.copytree(folder, killed)
    gone = [*range(0, 200, 3)]  # of each segment, however threads shared the texts
    words.remove(gone)
    for path in (folder / ".managed.json", *folder.glob("*.del")):  # as it is before the commit is written to meta.json
        shutil.copy(path, killed)
    left = sorted(path.name for path in killed.glob("*.del"))
    again = Words(killed)
    assert left and len(again.find("fox", 300)) == 200
    again.remove(gone)
    assert {row for row, _ in again.find("fox", 300)} == {*range(200)} - {*gone}
    assert sorted(path.name for path in killed.glob("*.del")) == left

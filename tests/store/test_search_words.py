"""The words of prompts in tantivy, after a program was killed while it wrote."""

from __future__ import annotations

from limner.store.search.words import Words


def test_a_file_of_a_commit_that_was_not_finished_is_written_again(tmp_path):
    words = Words(tmp_path)
    words.add(0, [f"fox {number}" for number in range(200)])
    meta = tmp_path / "meta.json"
    before = meta.read_bytes()
    gone = [*range(0, 200, 3)]  # of each segment, however threads shared the texts
    words.remove(gone)
    deleted = sorted(path.name for path in tmp_path.glob("*.del"))
    assert deleted
    meta.write_bytes(before)  # as it is where the program was killed between both files
    again = Words(tmp_path)
    assert len(again.find("fox", 300)) == 200
    again.remove(gone)
    assert {row for row, _ in again.find("fox", 300)} == {*range(200)} - {*gone}
    assert sorted(path.name for path in tmp_path.glob("*.del")) == deleted

"""The words of prompts in tantivy, after a program was killed while it wrote."""

from __future__ import annotations

from limner.store.search.words import Words


def test_a_file_of_a_commit_that_was_not_finished_is_written_again(tmp_path):
    words = Words(tmp_path)
    words.add(0, ["a fox", "a cat", "a dog"])
    meta = tmp_path / "meta.json"
    before = meta.read_bytes()
    words.remove([1])
    deleted = [path.name for path in tmp_path.glob("*.del")]
    assert deleted
    meta.write_bytes(before)  # as it is where the program was killed between both files
    again = Words(tmp_path)
    assert [row for row, _ in again.find("cat", 5)] == [1]
    again.remove([1])
    assert again.find("cat", 5) == [] and [row for row, _ in again.find("fox", 5)] == [0]
    assert [path.name for path in tmp_path.glob("*.del")] == deleted

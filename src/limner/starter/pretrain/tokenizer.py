"""The starter's tokenizer: a CLIP byte-pair vocabulary, trained on the painter's own captions."""

from __future__ import annotations

import json
import random
import tempfile
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

from limner.starter.painter import caption, class_caption, random_scene

START, END = "<|startoftext|>", "<|endoftext|>"

# Words that the painter does not draw, so that they too are single tokens, which fine-tuning can train.
SPARE_WORDS = (
    "cat dog animal pet character toy teddy bear plushie stuffed duck robot monster product object thing can candle "
    "boot shoe bowl berry clock vase cartoon emoji person man woman child face portrait style house street road rug "
    "floor table window water sea ocean sky sun moon star tree flower garden mountain river lake bridge tower "
    "happy sad small large big little beautiful cute bright dark old new wooden golden silver purple shiny blurry low "
    "quality bad ugly photograph painting render art logo poster the of and to with without in on at under over near "
    "is are no not one two three very top view front side close up background holding playing sleeping running"
)


def byte_pair_merges(words: dict[str, int], limit: int) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first (Sennrich et al. 2016, algorithm 1)."""
    pieces = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        counts: dict[tuple[str, str], int] = {}
        for word, parts in pieces.items():
            for pair in pairwise(parts):
                counts[pair] = counts.get(pair, 0) + words[word]
        if not counts:
            break
        best = max(sorted(counts), key=counts.__getitem__)
        merges.append(best)
        for word, parts in pieces.items():
            merged, i = [], 0
            while i < len(parts):
                if tuple(parts[i : i + 2]) == best:
                    merged.append(parts[i] + parts[i + 1])
                    i += 2
                else:
                    merged.append(parts[i])
                    i += 1
            pieces[word] = merged
    return merges


def build_tokenizer(seed: int, tokens: int) -> CLIPTokenizer:
    """A CLIPTokenizer with one token for every word of a caption; unknown words are split into letters."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    rng = random.Random(f"{seed}/tokenizer")
    words: dict[str, int] = dict.fromkeys(SPARE_WORDS.split(), 10)
    for _ in range(4000):
        scene = random_scene(rng)
        for text in (caption(scene, rng), class_caption(scene, rng)):
            for word in text.replace(",", " ").split():
                words[word] = words.get(word, 10) + 1
    merges = byte_pair_merges(words, limit=4000)
    alphabet = list(bytes_to_unicode().values())
    vocabulary = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in merges)]
    vocabulary = [*dict.fromkeys(vocabulary), START, END]
    with tempfile.TemporaryDirectory() as scratch:
        vocab, merge_file = Path(scratch, "vocab.json"), Path(scratch, "merges.txt")
        vocab.write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}), encoding="utf-8")
        merge_file.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n", encoding="utf-8")
        return CLIPTokenizer(
            vocab=str(vocab),
            merges=str(merge_file),
            bos_token=START,
            eos_token=END,
            unk_token=END,
            pad_token=END,
            model_max_length=tokens,
        )

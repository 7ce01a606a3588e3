"""The starter's tokenizer: caption words are whole, unknown words are spelt, and it survives the disk."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import CLIPTokenizer

from limner.starter.painter import BREEDS, COLOURS, EXTRAS, PRODUCTS, caption, random_scene
from limner.starter.pretrain.text_encoder import Words, tokenise
from limner.starter.pretrain.tokenizer import SPARE_WORDS, build_tokenizer, byte_pair_merges
from limner.starter.pretrain.training_captions import CAPTION_KINDS, look_caption, training_caption


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(1, 48)


def test_every_caption_word_is_one_token(tokenizer):
    rng = random.Random(9)
    words = {word for _ in range(1000) for word in caption(random_scene(rng), rng).replace(",", " ").split()}
    words |= {
        word
        for name in (*PRODUCTS, *EXTRAS, *COLOURS, *(b for bs in BREEDS.values() for b in bs))
        for word in name.split()
    }
    assert [word for word in sorted(words | set(SPARE_WORDS.split())) if len(tokenizer.tokenize(word)) != 1] == []


def test_unknown_words_fall_to_letters(tokenizer):
    tokens = tokenizer.tokenize("xqzjv")
    assert len(tokens) == 5 and tokenizer.unk_token not in tokens
    for text in ("sks", "naïve", "犬", "🐶", "a_b-c"):
        assert tokenizer.unk_token_id not in tokenizer(text, add_special_tokens=False).input_ids


def test_texts_round_trip(tokenizer):
    text = "a photo of a red mug on the beach"
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_long_captions_fit(tokenizer):
    rng = random.Random(10)
    assert max(len(tokenizer(caption(random_scene(rng), rng)).input_ids) for _ in range(500)) <= 48
    for kind in (look_caption, training_caption):
        texts = [kind(random_scene(rng, subject="dog"), rng) for _ in range(500)]
        assert max(map(len, tokenizer(texts).input_ids)) <= 48, "with a made-up word, which is spelt"
    assert len(tokenizer("cat " * 100, truncation=True, padding="max_length").input_ids) == 48


def test_words_are_tokenised_as_whole_texts(tokenizer):
    rng = random.Random(11)
    texts = [kind(random_scene(rng), rng) for kind in CAPTION_KINDS for _ in range(100)]
    texts += [look_caption(random_scene(rng, subject="cat"), rng) for _ in range(100)]
    texts += ["", "  A CAT,  pixel-art!! ", "naïve 犬🐶 it's 12.5%", "xqzjv " * 30, "cat"]
    words = Words(tokenizer)
    for some in (texts[:200], texts[100:], texts):
        assert torch.equal(words.tokenise(some), tokenise(tokenizer, some))
    assert words.tokenise(texts).shape == (len(texts), 48)


def test_it_survives_the_disk(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    for text in ("a photo of sks dog in the snow", "xqzjv", "A CAT, pixel art"):
        assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.model_max_length == 48


def test_it_is_the_same_every_time(tokenizer):
    assert build_tokenizer(1, 48).get_vocab() == tokenizer.get_vocab()


def test_merges_take_the_most_frequent_pair():
    assert byte_pair_merges({"ab": 3, "bc": 1}, 2) == [("a", "b</w>"), ("b", "c</w>")]
    assert byte_pair_merges({"aa": 1}, 10) == [("a", "a</w>")]

"""Learned embeddings: own rows in the token embedding, saved to files, added and removed."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from limner.core.errors import LimnerError
from limner.core.protocols import Components, SubjectWords, WeightedFile
from limner.models.adapters import open_adapter
from limner.models.embeddings import (
    ExtendedEmbedding,
    LearnedEmbeddings,
    embeddings_applied,
    read_embeddings,
    restore_embeddings,
    save_embeddings,
)
from limner.models.learned_words import blend_of, with_tokens
from limner.models.prompts import to_chunks, tokenise
from limner.starter.pretrain.tokenizer import build_tokenizer

WIDTH, TOKENS = 8, 24
ONE = SimpleNamespace(embeddings=(("", "tokenizer", "text_encoder"),))
TWO = SimpleNamespace(embeddings=(("clip_l", "tokenizer", "text_encoder"), ("clip_g", "tokenizer_2", "text_encoder_2")))
REX = SubjectWords("<rex>", "dog")


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(1, TOKENS)


@pytest.fixture
def parts(tokenizer):
    """Tokenizers and text encoders of two widths."""
    found = {}
    for suffix, width in (("", WIDTH), ("_2", 2 * WIDTH)):
        torch.manual_seed(width)
        found[f"tokenizer{suffix}"] = copy.deepcopy(tokenizer)
        found[f"text_encoder{suffix}"] = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=TOKENS,
            )
        ).requires_grad_(False)
    return found


def token_ids(tokenizer, text):
    return tokenizer(with_tokens(tokenizer, text), add_special_tokens=False).input_ids


def has_words(tokenizer):
    return blend_of(tokenizer) != [(1.0, frozenset())]


def attached(parts, facts=ONE, vectors=3, initial="cat", seed=0, subject=REX):
    components = Components(parts, "unet", "none", "none", 64, torch.float32, torch.device("cpu"))
    return LearnedEmbeddings(components, facts, subject, vectors, initial, seed)


def embedding(parts, name="text_encoder"):
    return parts[name].get_input_embeddings()


def rows(trained):
    return [word.extended.rows.detach().clone() for word in trained.tokens]


def test_ids_from_the_first_on_have_their_own_rows():
    base = torch.nn.Embedding(5, 2)
    own = torch.tensor([[7.0, 8.0], [9.0, 10.0]])
    found = ExtendedEmbedding(base, own, 5)(torch.tensor([[0, 4, 5, 6]]))
    assert torch.equal(found, torch.cat([base.weight[[0, 4]], own])[None])


def test_a_word_starts_with_the_vectors_of_the_initial_word(parts):
    tokenizer, before = parts["tokenizer"], embedding(parts).weight.clone()
    (dog,) = tokenizer("dog", add_special_tokens=False).input_ids
    first, second, third = rows(attached(parts, initial="dog"))[0]
    assert torch.equal(first, before[dog])
    spread = before.std()
    for further in (second, third):  # a tenth of the rows' own spread away
        assert 0.02 * spread < (further - before[dog]).std() < 0.3 * spread
    assert not torch.equal(second, third)
    assert token_ids(tokenizer, "<rex>") == [len(before), len(before) + 1, len(before) + 2]


def test_the_vectors_of_several_initial_words_are_used_in_turn(parts):
    before = embedding(parts).weight.clone()
    ids = parts["tokenizer"]("cat dog", add_special_tokens=False).input_ids
    found = rows(attached(parts, initial="cat dog", vectors=3))[0]
    assert torch.equal(found[:2], before[ids]) and len(ids) == 2
    assert (found[2] - before[ids[0]]).norm() < (found[2] - before[ids[1]]).norm()


@pytest.mark.parametrize("vectors", [TOKENS // 2, TOKENS // 2 + 1])
def test_a_word_takes_at_most_half_of_a_prompt(parts, vectors):
    if vectors <= 12:
        assert len(rows(attached(parts, vectors=vectors))[0]) == vectors
    else:
        with pytest.raises(LimnerError, match="use 12 --vectors or fewer"):
            attached(parts, vectors=vectors)


@pytest.mark.parametrize("facts", [ONE, TWO], ids=["one encoder", "two encoders"])
def test_every_row_is_restored_from_a_file(parts, facts, tmp_path):
    trained = attached(parts, facts)
    with torch.no_grad():
        for word in trained.tokens:
            word.extended.rows.normal_()
    kept = rows(trained)
    save_embeddings(trained, tmp_path / "word.safetensors", {})
    with torch.no_grad():
        for word in trained.tokens:
            word.extended.rows.zero_()
    restore_embeddings(trained, tmp_path / "word.safetensors")
    assert all(torch.equal(one, other) for one, other in zip(kept, rows(trained), strict=True))
    names = {"<rex>"} if facts is ONE else {"clip_l", "clip_g"}
    assert set(load_file(tmp_path / "word.safetensors")) == names
    for other in (SubjectWords("<max>", "dog"), REX):
        for vectors in (2, 4) if other is REX else (3,):
            trained.detach()
            trained = attached(parts, facts, vectors, subject=other)
            with pytest.raises(LimnerError, match="does not fit this base model"):
                restore_embeddings(trained, tmp_path / "word.safetensors")


def test_taken_out_it_leaves_nothing(parts):
    before, plain = embedding(parts), token_ids(parts["tokenizer"], "a <rex>")
    trained = attached(parts)
    assert embedding(parts) is not before and token_ids(parts["tokenizer"], "a <rex>") != plain
    trained.detach()
    assert embedding(parts) is before and token_ids(parts["tokenizer"], "a <rex>") == plain
    assert not has_words(parts["tokenizer"]) and len(parts["tokenizer"]) == len(before.weight)


@pytest.mark.parametrize("weight", [1.0, 0.5, -2.0])
def test_a_file_gives_its_word_vectors_and_weight(parts, tmp_path, weight):
    vectors = torch.arange(2.0 * WIDTH).reshape(2, WIDTH)
    save_file({"emb_params": vectors}, tmp_path / "max.safetensors")
    pipeline = SimpleNamespace(components=parts)
    with embeddings_applied(pipeline, ONE, [WeightedFile(tmp_path / "max.safetensors", weight)]):
        ids = token_ids(parts["tokenizer"], "max")
        assert torch.equal(embedding(parts)(torch.tensor([ids])), vectors[None])
        whole, least = frozenset({"max"}), frozenset[str]()
        assert blend_of(parts["tokenizer"]) == ([(1, whole)] if weight == 1 else [(1, least), (weight, whole)])
    with embeddings_applied(pipeline, ONE, [WeightedFile(tmp_path / "max.safetensors", 0)]):
        assert not has_words(parts["tokenizer"]), "of weight 0 there is no word"


def test_each_encoder_gets_the_vectors_that_are_named_for_it(parts, tmp_path):
    tensors = {"clip_g": torch.ones(1, 2 * WIDTH), "clip_l": torch.full((1, WIDTH), 2.0)}
    save_file(tensors, tmp_path / "max.safetensors", {"word": "<max>"})
    with embeddings_applied(SimpleNamespace(components=parts), TWO, [WeightedFile(tmp_path / "max.safetensors", 1)]):
        for suffix, value in (("", 2), ("_2", 1)):
            place = token_ids(parts[f"tokenizer{suffix}"], "<max>")
            assert embedding(parts, f"text_encoder{suffix}")(torch.tensor(place)).unique().tolist() == [value]
    on_one = embeddings_applied(SimpleNamespace(components=parts), ONE, [WeightedFile(tmp_path / "max.safetensors", 1)])
    with pytest.raises(LimnerError, match="does not fit this model: it is for the text encoders clip_g"), on_one:
        pass


@pytest.mark.parametrize(
    ("tensors", "header", "word"),
    [
        ({"emb_params": torch.zeros(2, WIDTH)}, {}, "file"),
        ({"<max>": torch.zeros(WIDTH)}, {}, "<max>"),
        ({"clip_l": torch.zeros(1, 8), "clip_g": torch.zeros(1, 16)}, {}, "file"),
        ({"emb_params": torch.zeros(75, WIDTH)}, {"word": "<told>"}, "<told>"),
    ],
)
def test_the_word_of_another_tools_file(tmp_path, tensors, header, word):
    save_file(tensors, tmp_path / "file.safetensors", header)
    found, vectors = read_embeddings(tmp_path / "file.safetensors")
    assert found == word and all(value.ndim == 2 for value in vectors.values())


@pytest.mark.parametrize("count", [0, 1, 75, 76])
def test_a_word_has_one_to_75_vectors(tmp_path, count):
    save_file({"emb_params": torch.zeros(count, WIDTH)}, tmp_path / "file.safetensors")
    if 1 <= count <= 75:
        assert len(read_embeddings(tmp_path / "file.safetensors")[1]["emb_params"]) == count
    else:
        with pytest.raises(LimnerError, match="contains no word of 1 to 75 vectors"):
            read_embeddings(tmp_path / "file.safetensors")


@pytest.mark.parametrize("word", ["", " ", "x" * 201])
def test_a_word_that_is_none_is_refused(tmp_path, word):
    save_file({"emb_params": torch.zeros(1, WIDTH)}, tmp_path / "file.safetensors", {"word": word})
    with pytest.raises(LimnerError, match="is not a word of 1 to 200 characters"):
        read_embeddings(tmp_path / "file.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_named(tmp_path, value):
    save_file({"emb_params": torch.full((1, WIDTH), value)}, tmp_path / "file.safetensors")
    with pytest.raises(LimnerError, match=r"numbers that are not finite .*; its training overflowed"):
        read_embeddings(tmp_path / "file.safetensors")


@pytest.mark.parametrize("word", ["<flora>", "lora", "lora_up", "<v1.5>", "dr.rex", "up.lora"])
def test_a_word_is_not_taken_for_another_adapter(tmp_path, word):
    """As diffusers writes it: one tensor, named like the word."""
    save_file({word: torch.zeros(1, WIDTH)}, tmp_path / "file.safetensors")
    assert open_adapter(str(tmp_path / "file.safetensors")).method == "textual_inversion"
    assert read_embeddings(tmp_path / "file.safetensors")[0] == word


# Words in prompts


def word_file(folder, word, vectors, value=1.0):
    path = folder / f"{len(list(folder.iterdir()))}.safetensors"
    save_file({"emb_params": torch.full((vectors, WIDTH), value)}, path, {"word": word})
    return WeightedFile(path, 1)


@pytest.fixture
def ids_of(parts, tmp_path):
    """Return the token ids of a prompt; those of the n-th word as (n, vector)."""

    def run(prompt, *words):
        files = [word_file(tmp_path, word, vectors) for word, vectors in words]
        tokenizer = parts["tokenizer"]
        places = [(number, place) for number, (_, vectors) in enumerate(words) for place in range(vectors)]
        with embeddings_applied(SimpleNamespace(components=parts), ONE, files):
            found = token_ids(tokenizer, prompt)
            cut, (chunk, *_) = tokenise(tokenizer, [prompt])[0].tolist(), to_chunks(tokenizer, prompt).ids.tolist()
        assert (
            cut[: len(found) + 2] == chunk[: len(found) + 2] == [tokenizer.bos_token_id, *found, tokenizer.eos_token_id]
        )
        return [places[each - len(tokenizer)] if each >= len(tokenizer) else each for each in found]

    return run


def plain(parts, text):
    return parts["tokenizer"](text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(
    "prompt", ["a cat on desks", "masks", "asks", "sksy", "sks2", "2sks", "sks_dog", "säsks", "s ks"]
)
def test_a_word_does_not_act_inside_other_words(parts, ids_of, prompt):
    assert ids_of(prompt, ("sks", 2)) == plain(parts, prompt)


@pytest.mark.parametrize("prompt", ["{}", "a {} cat", "a {}, sitting", "({})", "{}'s ball", "a {}-cat", "\n{}\t"])
@pytest.mark.parametrize("written", ["sks", "Sks", "SKS"])
def test_a_whole_word_acts_with_all_vectors_in_any_case(parts, ids_of, prompt, written):
    before, after = (plain(parts, part) for part in prompt.split("{}"))
    assert ids_of(prompt.format(written), ("sks", 2)) == [*before, (0, 0), (0, 1), *after]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("rex", [0]),
        ("rex2", [1]),
        ("rex rex2 Rex", [0, 1, 0]),
        ("rex_1", None),
        ("rex dog", [2]),
        ("rex  DOG", [2]),
        ("<rex>", [3]),
        ("<rex><rex>", [3, 3]),
    ],
)
def test_words_that_begin_each_other(parts, ids_of, prompt, expected, order):
    """The longest is used, whatever the order of the adapters."""
    words = [("rex", 2), ("rex2", 2), ("rex dog", 3), ("<rex>", 1)]
    found = ids_of(prompt, *words[::order])
    if expected is None:
        assert found == plain(parts, prompt)
    else:
        wanted = [words[number] for number in expected]
        numbers = [(words[::order].index(word), place) for word in wanted for place in range(word[1])]
        assert found == numbers


def test_where_the_longer_word_does_not_end_the_shorter_is_used(parts, ids_of):
    assert ids_of("rex dogs", ("rex", 1), ("rex dog", 1)) == [(0, 0), *plain(parts, "dogs")]


def test_a_word_and_the_name_of_another_words_vector(ids_of):
    assert ids_of("rex rex_1", ("rex", 2), ("rex_1", 1)) == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("other", ["sks", "Sks", " SKS "])
def test_the_same_word_twice_is_refused(ids_of, other):
    with pytest.raises(LimnerError, match="two adapters define the word"):
        ids_of("sks", ("sks", 1), (other, 1))


def test_the_ids_between_words_are_those_of_the_tokenizers_library(parts, ids_of):
    """Of a prompt with added tokens, as earlier versions made them."""
    tokenizer = copy.deepcopy(parts["tokenizer"])
    tokenizer.add_tokens(["<rex>", "<rex>_1"])
    prompt = "A photo  of <rex>, the Cat's dog; naïve <rex>"
    numbers = {len(tokenizer) - 2: (0, 0), len(tokenizer) - 1: (0, 1)}
    text = prompt.replace("<rex>", "<rex> <rex>_1")
    expected = [numbers.get(each, each) for each in tokenizer(text, add_special_tokens=False).input_ids]
    assert ids_of(prompt, ("<rex>", 2)) == expected


@pytest.mark.parametrize(("longest", "length"), [(None, TOKENS), (TOKENS - 1, TOKENS - 1), (TOKENS + 1, TOKENS)])
def test_tokens_are_cut_to_the_length_of_encoder_and_family(tokenizer, longest, length):
    assert tokenise(tokenizer, ["dog", "cat " * 40], longest).shape == (2, length)

"""The recipes that come with the project, and recipes of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

import limner
from limner import SweepRequest, TrainRequest
from limner.cli.recipes import read_recipe
from limner.core.errors import LimnerError
from limner.models.options import EMBEDDINGS_FILE, LORA_FILE
from limner.plugins import registry

RECIPES = Path(limner.__file__).parent / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_a_request(path):
    kind = "sweep" if path.stem == "guidance" else "train"
    model = {"sweep": SweepRequest, "train": TrainRequest}[kind]
    more = {"sweep": {}, "train": {"data": "photos"}}[kind]
    documents = read_recipe(path, kind)
    assert documents
    for document in documents:
        request = model.model_validate({**document, **more})
        assert request.kind == kind and set(document) <= request.model_fields_set, "each of its fields says something"
        if kind == "train":
            options = registry.methods.get(request.method).Options
            assert options.model_validate(request.options).model_fields_set == set(request.options)


def test_the_flux_table_is_as_its_users_wrote_it():
    (fields,) = read_recipe(RECIPES / "flux.yaml", "train")
    assert (fields["resolution"], fields["batch"], fields["learning_rate"], fields["steps"]) == (512, 1, 1e-4, 2000)
    assert (fields["optimiser"], fields["options"]["alpha"], fields["checkpoint_every"]) == ("adamw8bit", 16, 250)
    assert fields["model"] == "flux-dev"


def test_the_guidance_study_is_as_its_users_wrote_it(limner, tiny_sd, tmp_path):
    recipe = RECIPES / "guidance.yaml"
    flags = ["--model", tiny_sd, "--steps", 2, "--seeds", 1, "--metric", "saturation", "--out", tmp_path / "out"]
    said = limner("sweep", "--recipe", recipe, *flags)
    assert said.code == 0, said.err
    requests = []
    for path in sorted((tmp_path / "out" / "pictures").rglob("*.png")):
        with Image.open(path) as picture:
            requests.append(json.loads(picture.text["limner"])["request"])
    assert [request["guidance"] for request in requests] == [1.5, 5.0, 7.5, 12.5]
    assert {request["seed"] for request in requests} == {42} and {request["steps"] for request in requests} == {2}
    (kept,) = read_recipe(recipe, "sweep")
    assert (kept["steps"], kept["seed"]) == (30, 42)


def test_flags_overrule_a_recipe(limner, tiny_sd, painted, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("method: pivotal\noptions: {vectors: 2, rank: 8}\nprior: false\nclass_word: cat\nsteps: 9\n")
    flags = ["--model", tiny_sd, "--steps", 2, "--class", "dog", "--rank", 2, "--out", tmp_path / "rex"]
    said = limner("train", painted, "--recipe", recipe, *flags)
    assert said.code == 0, said.err
    with safe_open(tmp_path / "rex" / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    assert request["class_word"] == "dog" and request["options"] == {"vectors": 2, "rank": 2} and request["steps"] == 2
    assert (tmp_path / "rex" / EMBEDDINGS_FILE).is_file()


def test_flags_put_aside_what_contradicts_them(limner, tiny_sd, painted, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "class_word: dog\nsteps: 900\nclass_pictures: 50\nprior_dropout: 0.5\nema: 0.9\nquantise: nf4\n"
        "gradient_checkpointing: true\noptions: {dora: true, rank: 2, targets: all}\n"
    )
    flags = ["--epochs", 1, "--no-prior", "--no-gradient-checkpointing", "--no-dora", "--quantise", "none"]
    flags += ["--ema", "none", "--targets", "none", "--batch", 3, "--model", tiny_sd]
    said = limner("train", painted, "--recipe", recipe, *flags, "--out", tmp_path / "rex")
    assert said.code == 0, said.err
    with safe_open(tmp_path / "rex" / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    off = ("steps", "class_pictures", "prior_dropout", "ema", "quantise")
    assert [request[name] for name in off] == [None] * 5
    assert request["epochs"] == 1 and not request["prior"] and not request["gradient_checkpointing"]
    assert request["options"] == {"dora": False, "rank": 2, "targets": None}


def test_a_switch_typed_as_on_overrules_nothing(limner, tiny_sd, painted, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("class_word: dog\nclass_pictures: 2\nprior_dropout: 0.5\nsteps: 1\nbatch: 1\n")
    said = limner("train", painted, "--recipe", recipe, "--prior", "--model", tiny_sd, "--out", tmp_path / "rex")
    assert said.code == 0, said.err
    with safe_open(tmp_path / "rex" / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    assert request["prior"] and (request["class_pictures"], request["prior_dropout"]) == (2, 0.5)


@pytest.mark.parametrize(
    "flags",
    [["--steps", 2, "--epochs", 1], ["--no-prior", "--class-pictures", 5], ["--no-prior", "--prior-dropout", 0.5]],
)
def test_flags_that_contradict_each_other_are_refused(limner, tiny_sd, painted, flags):
    said = limner("train", painted, "--class", "dog", "--model", tiny_sd, *flags)
    assert said.code == 2 and "given" in said.error, said.err


def test_another_method_leaves_the_recipes_options_of_its_own(limner, tiny_sd, painted, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "class_word: dog\nmethod: pivotal\nlearning_rate: 0.5\nprior: false\nsteps: 1\nbatch: 1\n"
        "options: {vectors: 2, rank: 2}\n"
    )
    flags = ["--method", "lora", "--model", tiny_sd, "--steps", "none", "--epochs", 1, "--out", tmp_path / "rex"]
    said = limner("train", painted, "--recipe", recipe, *flags)
    assert said.code == 0, said.err
    with safe_open(tmp_path / "rex" / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    assert request["options"] == {"rank": 2} and request["learning_rate"] is None and request["steps"] is None


def test_captions_alone_need_no_identifier(limner, tiny_sd, painted, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("identifier: null\nclass_word: picture\nprior: false\nsteps: 2\nbatch: 1\n")
    said = limner("train", painted, "--recipe", recipe, "--model", tiny_sd, "--out", tmp_path / "style")
    assert said.code == 0 and "try: " not in said.err, said.err
    card = (tmp_path / "style" / "README.md").read_text()
    assert "none: captions alone" in card and 'instance_prompt: "a photo of picture"' in card
    recipe.write_text("identifier: null\nclass_word: picture\n")
    said = limner("train", painted, "--recipe", recipe, "--model", tiny_sd)
    assert said.code == 2 and "prior preservation needs an identifier for the subject" in said.error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no fields of a request"),
        ("- a\n- b\n", "holds no fields of a request"),
        ("a: [", "is not valid YAML in line 1: expected the node content"),
        ("kind: generate\nprompt: a\n", "is for generate, not for train"),
        ("class_word: dog\nstepps: 3\n", "'own.yaml' has an unknown field 'stepps'; did you mean 'steps'?"),
        ("class_word: dog\noptions: {rnak: 4}\n", "this method has no option 'rnak'; it has rank, alpha"),
        ("class_word: dog\noptions: {rank: 0}\n", "--rank '0'"),
        ("class_word: dog\nrank: 16\n", "it is an option of the method: write 'options: {rank: 16}'"),
        ("class_word: dog\nsteps: many\n", "--steps 'many'"),
        ("class_word: dog\noptions: 3\n", "options"),
        ("class_word: dog\nmethod: lorra\n", "unknown method 'lorra'"),
        ("class_word: dog\n---\nclass_word: cat\n", "holds 2 requests"),
        ("class_word: 2024-13-45", "cannot be read"),
        ("kind: [train]", "is for ['train'], not for train"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML in line 1: could not determine a constructor"),
    ],
)
def test_recipes_that_are_none(limner, tmp_path, painted, text, said):
    (tmp_path / "own.yaml").write_text(text)
    answer = limner("train", painted, "--recipe", "own.yaml")
    assert answer.code == 2 and said in answer.error, answer.error


def test_a_recipe_that_is_not_there():
    with pytest.raises(
        LimnerError, match=r"recipe 'nowhere.yaml' does not exist; choose one of: .* or give a YAML file"
    ):
        read_recipe("nowhere.yaml", "train")

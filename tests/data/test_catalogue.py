"""The catalogue of fields of captions: the one of pets, and files in its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gathering import put
from limner.core.errors import LimnerError
from limner.core.prompts import PETS
from limner.data.captions.catalogue import LARGEST, SHIPPED, read_catalogue
from limner.starter.painter.vocabulary import BREEDS, EXTRAS, PLACES, SPECIES

ROOT = Path(__file__).parents[2]
PET_FIELDS = ["species", "breed", "background", "extras"]


def test_values_that_the_painter_knows_come_from_the_painter_alone() -> None:
    catalogue = read_catalogue()
    assert list(catalogue.fields) == PET_FIELDS
    breeds = {breed for each in BREEDS.values() for breed in each}
    painted = {"species": {*SPECIES}, "breed": breeds, "background": {*PLACES}, "extras": {*EXTRAS}}
    written = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["fields"]
    for name, values in painted.items():
        assert values <= {*catalogue.fields[name]}
        assert not values & {*written[name]["values"]}, "written twice"
        assert len({*written[name]["values"]}) == len(written[name]["values"])


def test_hand_written_texts_of_pets_use_the_catalogue() -> None:
    catalogue = read_catalogue()
    for prompt in PETS:
        worn = re.search(r"(?:wearing|with) (.+?)(?: (?:in|on) the .*)?$", prompt)
        assert worn is None or catalogue.lists("extras", worn[1]), prompt
        place = re.search(r"(?:in|on) the (.+)$", prompt)
        assert place is None or catalogue.lists("background", place[1]), prompt
    for path in ("src/limner/recipes/pets.yaml", "docs/captions.md", "docs/prepare.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{name}\b", text) for name in PET_FIELDS), path
    templates = re.findall(r'"(a photo of [^"]*\{[^"]*)"', (ROOT / "src/limner/recipes/pets.yaml").read_text())
    used = {name.removeprefix("a ") for text in templates for name in re.findall(r"\{([^}]*)\}", text)}
    assert used and used <= {*PET_FIELDS, "identifier", "class"}


@pytest.mark.parametrize(
    ("name", "value", "listed", "nearest"),
    [
        ("breed", "husky", True, None),
        ("breed", "Golden  Retriever", True, None),
        ("breed", "golden-retriever dog", True, None),
        ("breed", "golden retreiver", False, "golden retriever"),
        ("breed", "huskie", False, "husky"),
        ("breed", "xoloitzcuintle", False, None),
        ("extras", "a red scarf", True, None),
        ("extras", "a red skarf", False, "scarf"),
        ("extras", "a scarfed look", False, "scarf"),
        ("background", "Park at night", True, None),
        ("background", "carpark", False, None),
        ("background", "", False, None),
        ("species", "dgo", False, "dog"),
    ],
)
def test_a_value_is_listed_by_its_words_and_else_has_a_nearest_one(
    name: str, value: str, listed: bool, nearest: str | None
) -> None:
    catalogue = read_catalogue()
    assert catalogue.lists(name, value) is listed
    assert listed or catalogue.nearest(name, value) == nearest


def test_a_shop_replaces_all_fields(tmp_path: Path) -> None:
    text = (
        "fields:\n  breed: [akita, Shiba Inu]\n  coat type: {values: [short]}\n  place: {known_by: {starter: place}}\n"
    )
    catalogue = read_catalogue(put(tmp_path / "shop.yaml", text))
    assert catalogue.fields == {
        "breed": ("akita", "Shiba Inu"),
        "coat type": ("short",),
        "place": (*PLACES, "studio"),
    }
    assert catalogue.lists("breed", "shiba inu") and not catalogue.lists("breed", "husky")


MERGES = "a0: &a0 {x: [y]}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "catalogue 'a.yaml' has no fields; write 'fields:'"),
        ("- breed", "catalogue 'a.yaml' has no fields"),
        ("{}", "catalogue 'a.yaml': fields is missing"),
        ("fields: {}", "fields"),
        ("fields: {breed: []}", "catalogue 'a.yaml': breed has no value; list at least one under values"),
        ("fields: {breed: akita}", "fields breed 'akita'"),
        ("fields: {breed: [true]}", "fields breed values 'True': use text"),
        ("fields: {breed: [akita, '--']}", "the value '--' has no letter or digit; remove it"),
        ("fields: {breed: [" + "a" * 201 + "]}", "at most 200 characters"),
        ("fields: {Breed: [akita]}", "'Breed' is not a field name; use lower-case letters"),
        ("fields: {'{breed}': [akita]}", "is not a field name"),
        ("fields: {breed: {value: [akita]}}", "unknown field 'fields breed value'"),
        ("fields: {breed: {known_by: {starter: bred}}}", "breed: unknown attribute of starter 'bred'; did you mean"),
        ("fields: {breed: {known_by: {stater: breed}}}", "'stater'; did you mean 'starter'?"),
        ("field: {breed: [akita]}", "unknown field 'field'"),
        ("fields: {breed: [akita", "is not valid YAML in line 1"),
        ("fields:\n\tbreed: [akita]", "is not valid YAML in line 2"),
        ("fields: !!python/object/apply:os.system [true]", "is not valid YAML in line 1"),
        ("fields: {breed: [" + "9" * 5000 + "]}", "is not valid YAML"),
        ("[" * 20_000, "is nested too deeply"),
        (MERGES + "fields: {breed: [akita]}", "contains aliases (*name); write the values in their place"),
        ("fields: {breed: [" + "akita, " * 10_000 + "]}", f"is larger than {LARGEST // 1024} KiB; remove values"),
        ("fields: {breed: [\x00]}", "is not valid YAML"),
    ],
    ids=range(23),
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LimnerError) as caught:
        read_catalogue(put(tmp_path / "a.yaml", text))
    error = str(caught.value)
    assert message in error and error.isprintable() and len(error) < 700


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"'none\.yaml' does not exist"):
        read_catalogue(tmp_path / "none.yaml")
    with pytest.raises(LimnerError, match="is a folder or a device; give a YAML file"):
        read_catalogue(tmp_path)

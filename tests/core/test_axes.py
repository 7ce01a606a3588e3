"""Sweeps as requests: what varies, and what of it is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.requests import (
    AdapterUse,
    Axis,
    ControlUse,
    SweepRequest,
    parse_request,
    references_of,
    replace_references,
)


def asked(**fields: object) -> SweepRequest:
    return SweepRequest.model_validate({"prompt": ["a cat"], **fields})


def test_an_axis_reads_as_it_is_typed() -> None:
    axis = Axis.model_validate("guidance-rescale=0, 0.7")
    assert axis == Axis(field="guidance_rescale", values=("0", "0.7"))


def test_cells_are_all_combinations_the_last_axis_fastest() -> None:
    request = asked(prompt=["a cat", "a dog"], axis=["guidance=1.5,5", "steps=4,8"], seeds=3, seed=7)
    cells = [(cell.request.prompt, cell.request.guidance, cell.request.steps) for cell in request.cells]
    assert cells == [(prompt, g, s) for prompt in ("a cat", "a dog") for g in (1.5, 5.0) for s in (4, 8)]
    assert {(cell.request.seed, cell.request.count) for cell in request.cells} == {(7, 3)}
    assert request.image_count == 24


def test_values_are_of_their_fields() -> None:
    request = asked(axis=["adapter=none,a:0.5,a+b", "guidance_interval=none,0.2-0.8"], guidance=4.0)
    uses = [[(use.path, use.weight) for use in cell.request.adapter] for cell in request.cells[::2]]
    assert uses == [[], [("a", 0.5)], [("a", 1.0), ("b", 1.0)]]
    assert [str(cell.request.guidance_interval) for cell in request.cells[:2]] == ["None", "0.2-0.8"]


HASH = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("axis", "kinds", "moved"),
    [
        (f"image=none,{HASH}", ["picture"], ("none", f"/here/{HASH}")),
        (f"mask={HASH}", ["picture"], (f"/here/{HASH}",)),
        ("model=starter,a/b", ["model", "model"], ("/here/starter", "/here/a/b")),
        ("adapter=none,a:0.5,a+b:2", ["weights"] * 3, ("none", "/here/a:0.5", "/here/a+/here/b:2")),
        ("adapter=a++b", ["weights"], ("/here/a++b",)),
        (f"control=canny={HASH}:0.5+given=b", ["picture"] * 2, (f"canny=/here/{HASH}:0.5+given=/here/b",)),
        ("prompt=a,b", [], ("a", "b")),
        ("guidance_interval=none,0.2-0.8", [], ("none", "0.2-0.8")),
    ],
)
def test_an_axis_refers_to_what_its_field_refers_to(axis: str, kinds: list[str], moved: tuple[str, ...]) -> None:
    read = Axis.model_validate(axis)
    assert [kind for kind, _ in references_of(read)] == kinds
    assert replace_references(read, lambda name: f"/here/{name}").values == moved
    assert replace_references(read, str) is read, "what changes nothing is the same axis"


def test_cells_are_those_of_the_place_that_a_sweep_was_moved_to() -> None:
    request = asked(axis=["image=none,a.png"], control=["given=b.png"], model="c")
    assert {cell.request.model for cell in request.cells} == {"c"}
    moved = replace_references(request, lambda name: f"/here/{name}")
    assert [cell.request.image for cell in moved.cells] == [None, "/here/a.png"]
    assert {(cell.request.model, cell.request.control[0].path) for cell in moved.cells} == {("/here/c", "/here/b.png")}
    assert parse_request(moved.model_dump_json()) == moved


@pytest.mark.parametrize("path", ["a", "a+b", "a:2", "a:b", "x=y@z", "/a b/c:0.5:1"])
@pytest.mark.parametrize("weight", [1.0, 0.5, -0.25, 1e-05, 0.1 + 0.2])
def test_an_adapter_with_its_weight_is_the_same_after_it_was_written(path: str, weight: float) -> None:
    use = AdapterUse(path=path, weight=weight)
    assert AdapterUse.model_validate(str(use)) == use
    control = ControlUse(kind="canny", path=path, weight=abs(weight))
    assert ControlUse.model_validate(str(control)) == control


def test_combinations_that_cannot_be_are_refused_before_anything_is_done() -> None:
    request = asked(axis=["image=a.png,none", "strength=none,0.5"])
    with pytest.raises(LimnerError, match="is given without an image"):
        request.check()


def test_it_survives_json() -> None:
    request = asked(axis=["scheduler=ddim,euler"], seeds=2)
    assert parse_request(request.model_dump_json()) == request


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "axes, and one to three are possible"),
        ({"axis": ["guidance=1", "steps=2", "seed=3", "strength=0.5"]}, "axes, and one to three are possible"),
        ({"axis": ["guidance"]}, "FIELD=VALUE"),
        ({"axis": ["guidance=1,,2"]}, "FIELD=VALUE"),
        ({"axis": ["gidance=1,2"]}, "no axis 'gidance'; did you mean 'guidance'"),
        ({"axis": ["guidance=1,2"], "guidance": 5}, "guidance is an axis and is also 5.0"),
        ({"axis": ["seed=1,2"], "seed": 7}, "seed is an axis and is also 7"),
        ({"axis": ["count=1,2"]}, "no axis 'count'"),
        ({"axis": ["guidance=1,1"]}, "has '1' twice"),
        ({"axis": ["guidance=1,2", "guidance=3"]}, "given twice"),
        ({"axis": ["guidance=1,much"]}, "guidance 'much'"),
        ({"axis": ["guidance=1,-3"]}, "guidance '-3'"),
        ({"axis": ["guidance_interval=0.8-0.2"]}, "ends before it begins"),
        ({"axis": ["steps=1,2"], "prompt": []}, "prompt is missing"),
        ({"axis": ["steps=1,2"], "prompt": [" "]}, "prompt is empty"),
        ({"axis": ["steps=1,2,3"], "seeds": 1000, "prompt": ["a", "b", "c", "d"]}, "12,000 images"),
    ],
)
def test_what_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        asked(**fields)

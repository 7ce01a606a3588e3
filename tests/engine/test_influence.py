"""Which training images made an image: planted truths, and what a user may get wrong."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from limner import AdapterUse, GenerateRequest, InfluenceRequest, LimnerError, Studio, TrainRequest
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated, Progress, Stage
from limner.core.influence import Influence
from limner.core.protocols import NoiseDraw
from limner.core.requests import parse_request, references_of
from limner.core.workspace import Workspace
from limner.engine.influence import attribution
from limner.engine.influence.gradients import evenly
from limner.engine.influence.influence import trace
from limner.engine.influence.projection import Projection
from limner.engine.train.examples import encode
from limner.models.options import LORA_FILE
from limner.studio.references import check_references

RNG = np.random.default_rng(0)


def silent(event):
    return None


@pytest.fixture(scope="session")
def adapter(ran_once, tiny_sd, painted):
    """An adapter of five of the painted pictures; the sixth was held out."""
    request = TrainRequest(
        data=str(painted), class_word="dog", model=str(tiny_sd), steps=6, batch=2, prior=False, flip=False, held_out=1,
        options={"rank": 4}, learning_rate=1e-2, checkpoint_every=6,
    )  # fmt: skip
    return ran_once("influence/rex", request)


@pytest.fixture
def traced(tmp_path):
    """Scores of a request of few time steps; keywords are its fields."""

    def run(adapter, *pictures, emit=silent, stop=lambda: False, **fields):
        request = InfluenceRequest(
            picture=tuple(map(str, pictures)), adapter=str(adapter), **{"timesteps": 3, "precision": "fp32", **fields}
        )
        place = tmp_path / "work"
        return trace(request, Workspace("test", place, place, place, stop=stop), emit)

    return run


SAID = {"prompt": "a photo of sks dog"}


# the mathematics


def test_scores_are_those_of_the_equation():
    """phi(x)^T (Phi^T Phi + lambda I)^-1 Phi^T, computed the long way."""
    training, pictures = RNG.normal(size=(5, 40)), RNG.normal(size=(3, 40))
    scale = 0.3 * (training**2).sum() / 5
    wanted = pictures @ np.linalg.inv(training.T @ training + scale * np.eye(40)) @ training.T
    assert np.allclose(attribution.scores(pictures, training, 0.3), wanted)
    assert np.allclose(attribution.scores(1e4 * pictures, 1e4 * training, 0.3), wanted), "no scale matters"


def test_a_training_picture_scores_one_for_itself_and_nothing_for_its_opposite_of_place():
    training = np.eye(4, 30)
    found = attribution.scores(training, training, 1e-6)
    assert np.allclose(found, np.eye(4), atol=1e-4)


def test_leaving_out_is_leaving_out():
    training = RNG.normal(size=(4, 20))
    found = attribution.leave_one_out(training, 0.1)
    assert np.isnan(np.diag(found)).all()
    assert np.allclose(found[1, [0, 2, 3]], attribution.scores(training[1:2], training[[0, 2, 3]], 0.1)[0])
    assert np.isnan(attribution.leave_one_out(training[:1], 0.1)).all()


def test_a_picture_that_pulls_the_other_way_does_harm():
    shared = RNG.normal(size=60)
    training = shared + 0.3 * RNG.normal(size=(6, 60))
    training[2] = -training[2]
    training[4] = 1e-3 * RNG.normal(size=60)
    rows = attribution.worth_rows(np.zeros((0, 60)), training, 0.1)
    assert rows is not None
    worths = np.nanmean(rows, axis=0)
    assert worths[2] < 0 < min(worths[[0, 1, 3, 5]]) and abs(worths[4]) < 0.1 * worths.max()
    held_out = attribution.worth_rows(shared[None], training[[2]], 0.1)
    assert held_out is not None and np.nanmean(held_out) < 0
    assert attribution.worth_rows(np.zeros((0, 60)), training[:1], 0.1) is None


@pytest.mark.parametrize("bad", [np.zeros((2, 5)), np.full((2, 5), np.nan)])
def test_gradients_that_tell_nothing_are_refused(bad):
    with pytest.raises(LimnerError, match="not finite, or all zero"):
        attribution.scores(np.ones((1, 5)), bad, 0.1)


def test_projection_keeps_inner_products():
    one, other = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    other = 0.5 * one + other
    project = Projection(20_000, 4096, seed=1)
    short = project(one), project(other)
    assert short[0].shape == (4096,)
    assert short[0] @ short[1] / (one @ other) == pytest.approx(1, abs=0.1)
    assert torch.equal(short[0], Projection(20_000, 4096, seed=1)(one))
    assert not torch.equal(short[0], Projection(20_000, 4096, seed=2)(one))
    assert torch.equal(Projection(100, 4096, 0)(one[:100]), one[:100])


def test_times_are_spread_evenly():
    drawn = NoiseDraw(torch.randn(80, 1), torch.randperm(80).float())
    assert evenly(drawn, 4).timesteps.tolist() == [10, 30, 50, 70]
    assert torch.equal(evenly(drawn, 4).noise, drawn.noise[:4])


# planted truth


@pytest.mark.parametrize("output", ["square", "loss"])
def test_a_training_picture_is_explained_by_itself(adapter, painted, traced, output):
    pictures = sorted(painted.glob("*.png"))[:5]  # the sixth was held out
    found = traced(adapter, *pictures, output=output, ridge=1e-6, **SAID)
    scores = np.array([each.scores for each in found.pictures])
    assert scores.shape == (5, 5)
    assert scores.argmax(1).tolist() == list(range(5))
    assert np.diag(scores).min() > 0.9
    assert [each.picture for each in found.training] == [str(path) for path in pictures]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lora", {"rank": 2, "dora": True}),
        pytest.param("lora", {"rank": 2, "text_encoder": True}, marks=pytest.mark.slow),
        pytest.param("textual_inversion", {"vectors": 2}, marks=pytest.mark.slow),
        ("pivotal", {"rank": 2}),
    ],
)
def test_every_way_to_learn_is_explained(learn, painted, traced, method, options):
    folder, _ = learn(method=method, options=options, prior=False, flip=False, steps=3)
    found = traced(folder, painted / "2.png", ridge=1e-6, **SAID)
    assert np.argmax(found.pictures[0].scores) == 2
    assert all(np.isfinite(found.pictures[0].scores))


@pytest.mark.parametrize(
    "family", ["sdxl", pytest.param("z_image", marks=pytest.mark.slow)]
)  # how a family's loss is taken is the conformance suite's
def test_another_family_is_explained(learn, painted, traced, tiny_folder, family):
    folder, _ = learn(model=str(tiny_folder(family)), prior=False, flip=False, steps=2, resolution=64)
    found = traced(folder, painted / "3.png", ridge=1e-6, **SAID)
    assert np.argmax(found.pictures[0].scores) == 3


def test_scores_repeat_and_know_no_order(learn, painted, traced, tmp_path):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    order = [3, 0, 5, 1, 4, 2]
    for name, index in enumerate(order):
        shutil.copyfile(painted / f"{index}.png", renamed / f"{name}.png")
    adapter, _ = learn(prior=False, held_out=0)
    ours = traced(adapter, painted / "1.png", painted / "4.png", **SAID)
    assert traced(adapter, painted / "1.png", painted / "4.png", **SAID) == ours
    other = traced(adapter, painted / "4.png", painted / "1.png", data=str(renamed), **SAID)
    first = np.array([each.scores for each in ours.pictures])
    second = np.array([each.scores for each in other.pictures])[::-1]
    assert np.allclose(first[:, order], second, rtol=1e-6, atol=1e-9)
    worths = {each.sha256: each.worth for each in ours.training}
    assert {each.sha256: each.worth for each in other.training} == pytest.approx(worths)
    assert traced(adapter, painted / "1.png", seed=7, **SAID).pictures[0].scores != ours.pictures[0].scores


def test_the_same_pixels_in_another_file_score_the_same(adapter, painted, traced, tmp_path):
    with Image.open(painted / "2.png") as image:
        image.convert("RGB").save(tmp_path / "copy.bmp")
    one, other = traced(adapter, painted / "2.png", tmp_path / "copy.bmp", **SAID).pictures
    assert one.scores == other.scores and one.sha256 != other.sha256


def test_influence_is_computed_with_the_masks_of_the_training(learn, painted, traced, tmp_path, monkeypatch):
    """Of training images and held-out images; queries have no mask."""
    data = shutil.copytree(painted, tmp_path / "data")
    (data / "masks").mkdir()
    for path in data.glob("*.png"):
        with Image.open(path) as picture:
            mask = Image.new("L", picture.size)
        mask.paste(255, (0, 0, mask.width // 2, mask.height))
        mask.save(data / "masks" / path.name)
    folder, _ = learn(data=str(data), masked=True, prior=False, flip=False, held_out=1, steps=1)
    masked = []

    def looking(family, components, images, *given):
        masked.append(images.masked)
        return encode(family, components, images, *given)

    monkeypatch.setattr("limner.engine.influence.influence.encode", looking)
    traced(folder, painted / "1.png", **SAID)
    assert masked == [True] * 6 + [False]


def test_without_pictures_only_the_training_pictures_are_judged(adapter, traced):
    events = []
    found = traced(adapter, emit=events.append)
    assert found.pictures == () and len(found.training) == 5
    assert found.judged_on == 6, "one was held out, and each is judged on the others"
    assert all(each.low < each.worth < each.high and each.verdict is None for each in found.training)
    assert found.cannot_tell is not None and found.cannot_tell in found.verdict
    assert "it was not measured whether worth agrees with the truth on" in found.cannot_tell
    stages = [event for event in events if isinstance(event, Stage)]
    assert [(stage.name, stage.total) for stage in stages] == [("loading", None), ("gradients", 6)]
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4, 5, 6]


def test_a_stop_is_heard_between_pictures(adapter, traced):
    answers = iter([False, False, True])
    events = []
    with pytest.raises(Interrupted):
        traced(adapter, emit=events.append, stop=lambda: next(answers))
    assert len([event for event in events if isinstance(event, Progress)]) == 2


def test_the_prompt_is_read_from_the_label(adapter, tiny_sd, traced, home, tmp_path):
    request = GenerateRequest(
        prompt="a sks dog in snow", model=str(tiny_sd), steps=1, adapter=({"path": str(adapter)},)
    )
    Studio().run(request, tmp_path / "pictures")
    found = traced(adapter, tmp_path / "pictures", prompt="something else")
    assert found.pictures[0].prompt == "a sks dog in snow"


# what a user may get wrong


def test_data_that_is_gone_or_other_is_reported(learn, painted, traced, tmp_path):
    data = tmp_path / "mine"
    shutil.copytree(painted, data)
    adapter, _ = learn(data=str(data), prior=False, held_out=1)
    (data / "0.txt").write_text("a caption that was not there")
    with pytest.raises(LimnerError, match=r"'rex' was not trained on the images in .*; name the folder .* by --data"):
        traced(adapter)
    shutil.rmtree(data)
    with pytest.raises(LimnerError, match=r"not available: .* does not exist; name the folder .* by --data"):
        traced(adapter)
    assert len(traced(adapter, data=str(painted)).training) == 5
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (64, 64), "red").save(other / "0.png")
    with pytest.raises(LimnerError, match="'rex' was not trained on the images"):
        traced(adapter, data=str(other))


def test_pictures_that_are_none_are_reported(adapter, painted, traced, tmp_path):
    with pytest.raises(LimnerError, match=r"nothing.png' does not exist"):
        traced(adapter, tmp_path / "nothing.png", **SAID)
    for name, data in (("text.png", b"no picture"), ("cut.png", (painted / "0.png").read_bytes()[:500])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(LimnerError, match=name):
            traced(adapter, tmp_path / name, **SAID)
    with pytest.raises(LimnerError, match="does not state its prompt; give it by --prompt"):
        traced(adapter, painted / "0.png")


def test_an_adapter_of_another_base_is_refused(adapter, tiny_sdxl, traced):
    with pytest.raises(LimnerError, match=r"was made for .* not for"):
        traced(adapter, model=str(tiny_sdxl))


def test_a_base_that_is_gone_is_reported(learn, tiny_sd, traced, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_sd, model)
    adapter, _ = learn(model=str(model), prior=False, held_out=1)
    shutil.rmtree(model)
    with pytest.raises(LimnerError, match=r"the base model of adapter 'rex' is not available: .*; name it by --model"):
        traced(adapter)
    assert len(traced(adapter, model=str(tiny_sd)).training) == 5


def with_header(adapter, place, **facts):
    """A copy of an adapter whose header says something else."""
    place.mkdir()
    with safe_open(adapter / LORA_FILE, framework="pt") as file:
        header = file.metadata()
    ours = json.loads(header["limner"]) | facts
    save_file(load_file(adapter / LORA_FILE), place / LORA_FILE, header | {"limner": json.dumps(ours)})
    return place


@pytest.mark.parametrize("part", ["model", "vae"])
def test_the_header_of_an_adapter_starts_no_download(adapter, traced, tmp_path, part):
    """An adapter may come from a stranger."""
    with safe_open(adapter / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    stranger = with_header(adapter, tmp_path / "stranger", request=request | {part: "who/what"})
    with pytest.raises(LimnerError, match=f"'who/what', which is not on disk; .* add --{part} who/what"):
        traced(stranger)


@pytest.mark.parametrize(
    "facts",
    [
        {"request": None},
        {"request": {"kind": "train"}},
        {"request": "x" * 100},
        {"dataset": None},
        {"dataset": {"sha256": 5}},
        {"base": None, "request": None},
    ],
)
def test_a_header_that_lies_is_one_line(adapter, traced, tmp_path, facts):
    with pytest.raises(LimnerError, match=r"does not state how it was trained|was not trained on"):
        traced(with_header(adapter, tmp_path / "lies", **facts))


def test_tensors_that_the_header_does_not_fit_are_refused(adapter, learn, traced, tmp_path):
    with safe_open(adapter / LORA_FILE, framework="pt") as file:
        request = json.loads(file.metadata()["limner"])["request"]
    lies = with_header(adapter, tmp_path / "lies", request=request | {"options": {"rank": 8}})
    with pytest.raises(LimnerError, match="does not fit this base model"):
        traced(lies)
    wrong = with_header(adapter, tmp_path / "wrong", request=request | {"options": {"no_such_option": 8}})
    with pytest.raises(LimnerError, match="does not state how it was trained"):
        traced(wrong)


def test_an_adapter_of_another_tool_is_refused(adapter, traced, tmp_path):
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(adapter / LORA_FILE), bare)
    with pytest.raises(LimnerError, match="does not state how it was trained; give one that `limner train` made"):
        traced(bare)


def test_the_queue_opens_no_path_that_an_adapter_names():
    sha256 = f"sha256:{'0' * 64}"
    request = InfluenceRequest(adapter=sha256, picture=(sha256,))
    with pytest.raises(LimnerError, match="model is not given"):
        check_references(request)
    with pytest.raises(LimnerError, match="data is not given"):
        check_references(request.model_copy(update={"model": "starter"}))
    whole = request.model_copy(update={"model": "starter", "data": f"folder:{'1' * 64}"})
    assert check_references(whole) == {sha256, whole.data}
    assert parse_request(whole.model_dump_json()) == whole
    assert set(references_of(whole)) == {
        ("picture", sha256), ("weights", sha256), ("model", "starter"), ("pictures", whole.data),
    }  # fmt: skip


# what is left


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


@pytest.mark.slow
def test_the_command_leaves_scores_and_a_page(limner, learn, painted, tmp_path):
    data = tmp_path / "<i>dog"
    shutil.copytree(painted, data)
    (data / "0.txt").write_text("a photo of <script>alert(1)</script> sks dog")
    adapter, _ = learn(prior=False, data=str(data), held_out=1)
    said = limner(
        "influence", data / "0.png", data / "1.png", "--adapter", adapter, "--prompt", "a <b>sks</b> dog",
        "--timesteps", 2, "--out", "told",
    )  # fmt: skip
    assert said.code == 0, said.err
    verdict, page = said.out.splitlines()
    assert verdict.startswith("0.png is influenced most by the training image 0.png (+") and page == str(
        tmp_path / "told" / "influence.html"
    )
    found = Influence.model_validate_json((tmp_path / "told" / "influence.json").read_text())
    assert [len(each.scores) for each in found.pictures] == [5, 5]
    page = (tmp_path / "told" / "influence.html").read_text()
    links = Links()
    links.feed(page)
    assert len(links.found) == 2 * (1 + 5) + 5, "each picture, those that made it, and all that are judged"
    assert all(link.startswith("data:image/webp;base64,") for link in links.found), "the page needs no network"
    assert "<script" not in page and "<b>sks" not in page and "url(" not in page
    again = limner(
        "influence", data / "0.png", "--adapter", adapter, "--prompt", "a sks dog", "--timesteps", 2, "--out", "told"
    )
    assert again.code == 0, "what it wrote itself is replaced"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    refused = limner("influence", "--adapter", adapter, "--timesteps", 2, "--out", "mine")
    assert refused.code == 2 and "holds files that Limner did not write" in refused.error


def test_the_command_reports_mistakes_in_a_line(limner, home):
    assert limner("influence", "a.png").code == 2
    said = limner("influence", "a.png", "--adapter", "no-such", "--ridge", 0)
    assert said.code == 2 and "--ridge" in said.error
    said = limner("influence", "a.png", "--adapter", "no-such")
    assert said.code == 2 and "unknown adapter 'no-such'" in said.error


def test_what_was_made_is_reported(adapter, home, tmp_path):
    events = []
    run = Studio().run(InfluenceRequest(adapter=str(adapter), timesteps=2), tmp_path / "told", listener=events.append)
    made = [(event.what, event.path) for event in events if isinstance(event, ArtifactCreated)]
    assert made == [
        (what, str(tmp_path / "told" / f"influence.{suffix}"))
        for what, suffix in (("influence", "json"), ("page", "html"))
    ]
    assert Studio().store.get(run.id).request == run.request


def test_a_picture_that_another_painted_is_reported(learn, traced, tiny_sd, tmp_path):
    folder, _ = learn(prior=False, flip=False, steps=2)
    other = GenerateRequest(prompt="a photo of sks dog", model=str(tiny_sd), steps=2, width=64, height=64)
    Studio().run(other, tmp_path / "plain")
    taught = other.model_copy(update={"adapter": (AdapterUse(path=str(folder)),)})
    Studio().run(taught, tmp_path / "taught")
    by = {name: next((tmp_path / name).glob("*.png")) for name in ("plain", "taught")}
    assert traced(folder, by["plain"]).pictures[0].painted_by == str(tiny_sd)
    assert traced(folder, by["taught"]).pictures[0].painted_by is None

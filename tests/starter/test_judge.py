"""The judge: the true attributes of an image, which of them can be seen, and what it reads."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

import limner.starter
from limner.starter.judge import ATTRIBUTES, MARKINGS, Judge, truth
from limner.starter.judge.attributes import NONE, attribute_of_mark
from limner.starter.judge.degrade import add_blotches, add_noise, blur, degrade, shuffle_tiles
from limner.starter.judge.network import JudgeNetwork
from limner.starter.painter import CHARACTERS, Scene, paint, random_scene
from limner.starter.painter.animals.random_look import COATS, random_look
from limner.starter.painter.scene import Placement
from limner.starter.pretrain import judge as judge_training
from limner.starter.pretrain.autoencoder import to_tensor
from limner.starter.pretrain.judge import UNKNOWN, accuracy, calibrate, judging_loss, label
from limner.starter.pretrain.parts import StarterParts

WEIGHTS = Path(limner.starter.__file__).parent / "weights"


def test_truth_is_the_scene():
    true = truth(Scene(subject="dog", breed="corgi", place="beach", extra="scarf", extra_colour="red", light="night"))
    assert true["breed"] == "corgi" and true["extra"] == "scarf" and true["extra_colour"] == "red"
    assert true["colour"] is None and true["backdrop"] is None and true["coat"] == "natural"
    assert truth(Scene(subject="mug", colour="red"))["extra"] is None
    assert truth(Scene(subject="cat", breed="tabby"))["extra"] == NONE


def test_a_sketch_shows_no_colour():
    true = truth(Scene(subject="cat", character="ziggy", style="pencil sketch"))
    assert true["coat"] is None and true["crest"] == "antenna" and true["belly"] is None


def test_a_hat_hides_marks_on_the_head():
    bare, hatted = (truth(Scene(subject="cat", character="luna", extra=extra)) for extra in (None, "crown"))
    assert bare["forehead"] == "star" and hatted["forehead"] is None
    assert hatted["belly"] == "moon"


@pytest.mark.parametrize("name", sorted(CHARACTERS))
def test_every_characters_marks_are_known(name):
    true = truth(Scene(subject=CHARACTERS[name].species, character=name))
    marks = {(place, true[place]) for place, values in MARKINGS.items() if true[place] not in (None, values[0])}
    assert marks == {attribute_of_mark(mark) for mark in CHARACTERS[name].marks}
    assert true["coat"] in COATS


def test_the_truth_of_a_random_look_is_its_marks():
    rng = random.Random(1)
    for _ in range(200):
        look, coat = random_look(rng, rng.choice(("cat", "dog")))
        true = truth(Scene(subject=look.species), look, coat)
        marks = {(place, true[place]) for place, values in MARKINGS.items() if true[place] != values[0]}
        assert marks == {attribute_of_mark(mark) for mark in look.marks}
        assert true["coat"] == coat and true["breed"] is None
    look, _ = random_look(rng, "cat")
    scene = Scene(subject="cat", breed="tabby", seed=1)
    assert not np.array_equal(np.asarray(paint(scene, look)), np.asarray(paint(scene)))


def test_degraded_images_have_the_same_shape_and_shuffled_ones_the_same_pixels():
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(16, 3, 128, 128, generator=rng) * 2 - 1
    for changed in (
        blur(images, 1.0),
        add_noise(images, 0.2, rng),
        add_blotches(images, 0.2, rng),
        degrade(images, rng),
    ):
        assert changed.shape == images.shape and changed.abs().max() <= 1 and not torch.equal(changed, images)
    shuffled = shuffle_tiles(images, rng)
    assert not torch.equal(shuffled, images)
    assert torch.equal(shuffled.flatten().sort().values, images.flatten().sort().values)


def test_half_of_the_worse_images_are_reconstructed_with_noise_on_their_latents(monkeypatch):
    monkeypatch.setattr(judge_training, "degrade", lambda images, rng: images)
    vae = StarterParts.load(WEIGHTS).vae
    shown = to_tensor(np.stack([np.asarray(paint(Scene(subject="dog", breed="corgi", seed=1)))] * 6))
    worse = judge_training.worsened(shown, vae, torch.Generator().manual_seed(1))
    assert torch.equal(worse[3:], shown[3:]) and worse.abs().max() <= 1
    errors = (worse[:3] - shown[:3]).square().mean((1, 2, 3))
    assert 0.001 < errors.min() < errors.max() < 0.05 and len(set(errors.tolist())) == 3, "noise of different strength"


def labels_of(scenes):
    return torch.from_numpy(np.stack([label(truth(scene)) for scene in scenes])).long()


def test_labels_are_indices_of_the_values():
    scene = Scene(subject="dog", breed="corgi", place="beach")
    row = labels_of([scene])[0].tolist()
    names = list(ATTRIBUTES)
    assert ATTRIBUTES["breed"][row[names.index("breed")]] == "corgi" and row[names.index("colour")] == UNKNOWN
    assert len(row) == len(ATTRIBUTES)


def test_the_loss_is_low_for_right_values_and_for_doubt_without_form():
    rng = random.Random(2)
    labels = labels_of([random_scene(rng) for _ in range(8)])
    known = labels.clamp(min=0)
    right = {
        name: torch.nn.functional.one_hot(known[:, i], len(values)).float() * 8
        for i, (name, values) in enumerate(ATTRIBUTES.items())
    }
    wrong = {name: -logits for name, logits in right.items()}
    assert judging_loss(right, labels, 0) < 0.2 < judging_loss(wrong, labels, 0)
    doubtful = {name: logits.clone() for name, logits in right.items()}
    for logits in doubtful.values():
        logits[-2:] = 0
    assert judging_loss(doubtful, labels, 2) < judging_loss(right, labels, 2)


def test_calibration_corrects_an_overconfident_judge():
    torch.manual_seed(0)
    network = JudgeNetwork().eval()
    rng = random.Random(3)
    labels = labels_of([random_scene(rng) for _ in range(32)])
    with torch.no_grad():
        for head in network.heads.values():
            head[-1].weight.mul_(100)
    calibrate(network, torch.rand(32, 3, 128, 128) * 2 - 1, labels)
    temperature = network.get_buffer("temperature")
    assert temperature.median() > 1.5, "an untrained judge that is sure needs a high temperature"
    assert set(accuracy(network, torch.rand(32, 3, 128, 128), labels)) == set(ATTRIBUTES)


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


def test_the_judge_reads_new_images(judge):
    rng = random.Random("never seen")
    scenes = [random_scene(rng, style="illustration") for _ in range(60)]
    readings = judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))
    for name in ("subject", "breed", "place", "colour"):
        known = [(i, value) for i, scene in enumerate(scenes) if (value := truth(scene)[name])]
        right = [readings.likeliest(i, name) == value for i, value in known]
        assert np.mean(right) > 0.9, name
    assert all(np.allclose(values.sum(1), 1, atol=1e-4) for values in readings.values.values())


def test_the_judge_is_unsure_of_images_without_form(judge):
    rng = random.Random("no form")
    whole = np.stack([np.asarray(paint(random_scene(rng, style="illustration"))) for _ in range(40)])
    images = torch.from_numpy(whole).permute(0, 3, 1, 2).float()
    shuffled = shuffle_tiles(images, torch.Generator().manual_seed(0)).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    sure = [judge.read(pixels).values["subject"].max(1).mean() for pixels in (whole, shuffled)]
    assert sure[1] < 0.5 < 0.9 < sure[0]


def test_eye_colours_are_in_the_order_of_the_image():
    sitter = judge_training.JudgeSample(Scene(subject="cat", character="swirl", seed=1))
    look = CHARACTERS["swirl"]
    assert look.second_eye is not None, "choose a character with odd eyes"
    pair = [look.eye, look.second_eye]
    mirrored = Placement.draw(random.Random(1)).mirrored
    wanted = np.array(pair[::-1] if mirrored else pair) / 255
    assert np.allclose(sitter.eyes.reshape(2, 3), wanted)
    with_glasses = Scene(subject="cat", character="swirl", extra="glasses")
    for hidden in (with_glasses, Scene(subject="mug", colour="red"), Scene(subject="cat", style="pencil sketch")):
        assert np.isnan(judge_training.JudgeSample(hidden).eyes).all()


def test_samples_are_the_same_every_time():
    first = judge_training.judge_samples(1, 0)
    assert first == judge_training.judge_samples(1, 0) != judge_training.judge_samples(1, 1)
    changed = [sitter for sitter in first if sitter.look]
    assert 0.5 < len(changed) / sum(sitter.scene.is_animal for sitter in first) < 0.8
    assert not any(sitter.scene.character for sitter in first)

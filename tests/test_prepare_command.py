"""limner prepare as it is typed, and what it says of mistakes."""

from __future__ import annotations

import json
import shutil

import pytest

import planted
from limner.starter.painter import sectors


@pytest.fixture
def photos(made_once, pool_here, tmp_path):
    def fill(folder):
        for number in range(3):
            planted.picture(70 + number, 300).save(folder / f"{number}.png")

    return shutil.copytree(made_once("prepare/three", fill), tmp_path / "photos")


def test_it_prints_the_verdict_and_the_report(limner, photos, tmp_path):
    flags = ["--class", "dog", "--size", 128, "--out", "set", "--workers", 1]
    output = limner("prepare", "photos", *flags)
    assert output.code == 0, output.err
    verdict, page = output.out.splitlines()
    assert verdict == "all 3 images are in the dataset" and page == str(tmp_path / "set" / "report.html")
    again = limner("prepare", "photos", *flags, "--encoder", "none")
    assert again.code == 2 and "exists already; choose another --out" in again.error
    assert again.error.endswith("set/captions.csv")
    other = limner("prepare", "photos", *flags[:-4], "--encoder", "none", "--out", "other")
    assert other.code == 0 and "prepare" in limner("runs").out
    assert json.loads((tmp_path / "other" / "report.json").read_text())["variety"] == {}


def test_a_recipe_works_too(limner, photos, tmp_path):
    (tmp_path / "own.yaml").write_text("class_word: dog\nsize: 64\nencoder: null\nsplit: 2/1\nlimit: [blurred=1]\n")
    output = limner("prepare", "photos", "--recipe", "own.yaml", "--out", "set", "--workers", 1)
    assert output.code == 0, output.err
    assert json.loads((tmp_path / "set" / "report.json").read_text())["splits"]["validation"] == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere"], "'nowhere' does not exist"),
        (["photos", "--drop", "blured"], "did you mean 'blurred'?"),
        (["photos", "--drop", "blurred", "--flag", "blurred"], "give it once"),
        (["photos", "--flag", "unreadable"], "cannot be used"),
        (["photos", "--flag", "refused"], "--despite"),
        (["photos", "--limit", "blurred"], "is not of the form FAULT=VALUE"),
        (["photos", "--limit", "animated=3"], "has no limit"),
        (["photos", "--split", "80/20/10/5"], "is not of the form TRAIN/VALIDATION/TEST"),
        (["photos", "--caption", "a {photo"], "{photo"),
        (["photos", "--detector", "eyes"], "unknown detector 'eyes'"),
        (["photos", "--detector", "face"], "face"),
        (["photos", "--encoder", "nobody/nothing"], "nobody/nothing"),
        (["photos", "--captioner", "nobody/nothing"], "nobody/nothing"),
        (["photos", "--fields", "none.csv"], "none.csv"),
        (["photos", "--captions", "none.csv"], "none.csv"),
        (["photos", "--catalogue", "none.yaml"], "'none.yaml' does not exist"),
        (["photos", "--catalogue", "shop.yaml"], "catalogue 'shop.yaml' is not valid YAML in line 1"),
        (["photos", "--masks", "nothing"], "'nothing' is not a folder of masks"),
        (["photos", "--out", "mine"], "exists already; choose another --out"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_one_line_before_anything_is_read(limner, photos, tmp_path, flags, message):
    (tmp_path / "shop.yaml").write_text("fields: [")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    output = limner("prepare", *flags, "--workers", 1)
    assert output.code == 2 and message in output.error
    assert not list(tmp_path.glob(".limner-prepare-*"))


def test_ten_industries_are_counted_exactly(limner, tmp_path):
    sectors.write_sectors(tmp_path / "market", 6)
    truth: dict[str, dict[str, int]] = {"industry": {}, "style": {}, "product": {}}
    for sector, scene in sectors.scenes(6, 1):
        for name, value in (("industry", sector), ("style", scene.style), ("product", scene.subject)):
            truth[name][value] = truth[name].get(value, 0) + 1
    flags = ["--by", "industry", "--size", 128, "--encoder", "none", "--ignore", "near_duplicate", "--out", "set"]
    output = limner("prepare", "market/pictures.csv", *flags)
    assert output.code == 0, output.err
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert report["pictures"] == 60
    for name, counts in truth.items():
        assert report["balance"]["tables"][name]["values"] == counts
    assert report["balance"]["tables"]["industry"]["evenness"] == 1

"""Every metric of the registry keeps what the protocol promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

import networks
from limner.core.errors import LimnerError
from limner.core.metrics import NEEDS, ImageSet, Metric
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers, scores_as_json
from limner.plugins import registry
from scored import values

EXTREMES = {"diversity": 0.0, "subject_fidelity": 1.0, "uniqueness": 0.0, "memorisation": 1.0, "class_drift": 0.0}
"""What a metric says where pictures and what they are compared with are the same."""
EMPTY = {"references": (), "training": (), "base": ()}


@pytest.fixture(params=registry.metrics.names())
def name(request):
    return request.param


@pytest.fixture
def use(name, clip, tmp_path):
    """The metric as it is asked for, with a tiny network where one must be named."""
    models = {"preference": clip, "aesthetic": f"{networks.linear_head(tmp_path / 'head.safetensors')}@{clip}"}
    return f"{name}={models[name]}" if registry.metrics.get(name).named else name


@pytest.fixture
def gallery(scenes):
    """20 pictures in five groups, with all that a metric could need."""
    paths = [item.path for item in scenes]
    base = tuple(replace(item, path=path) for item, path in zip(scenes[:20], paths[20:], strict=True))
    return ImageSet(tuple(scenes[:20]), references=tuple(paths[20:]), training=tuple(paths[20:]), base=base)


def test_it_satisfies_the_protocol(name):
    metric = registry.metrics.get(name)
    assert isinstance(metric, Metric)
    assert metric.title and metric.about and "\n" not in metric.about and len(metric.about) < 260
    assert metric.better in ("higher", "lower", None) and metric.unit in ("picture", "group", "set")
    assert metric.needs <= NEEDS.keys()
    assert not (metric.named and metric.model)


def test_values_are_finite_and_one_for_each_unit(use, gallery, name):
    found = values(use, gallery)
    assert found.shape == ({"picture": 20, "group": 5, "set": 1}[registry.metrics.get(name).unit],)
    assert np.isfinite(found).all()
    assert len(set(found.tolist())) > 0.8 * len(found)


def test_it_is_deterministic(use, gallery):
    first = scores_as_json(Scorers([MetricUse.model_validate(use)]).score(gallery))
    assert scores_as_json(Scorers([MetricUse.model_validate(use)]).score(gallery)) == first


def test_the_order_of_pictures_does_not_matter(use, gallery, name):
    order = [int(i) for i in np.random.default_rng(1).permutation(20)]
    turned = ImageSet(
        tuple(gallery.items[i] for i in order),
        gallery.references[::-1],
        gallery.training[::-1],
        tuple(gallery.base[i] for i in order),
    )
    found, again = values(use, gallery), values(use, turned)
    unit = registry.metrics.get(name).unit
    if unit == "picture":
        found = found[order]
    elif unit == "group":
        found = found[[list(gallery.groups).index(group) for group in turned.groups]]
    assert again == pytest.approx(found, rel=1e-4, abs=1e-6)


def test_a_changed_picture_changes_its_value_and_no_other(use, gallery, changed, name):
    path = changed(gallery.items[7].path, _spoilt, "spoilt.png")
    items = tuple(replace(item, path=path) if i == 7 else item for i, item in enumerate(gallery.items))
    apart = np.abs(values(use, replace(gallery, items=items)) - values(use, gallery)) > 1e-6
    own = {"picture": 7, "group": 1, "set": 0}[registry.metrics.get(name).unit]
    assert apart.nonzero()[0].tolist() == [own]


def _spoilt(picture: Image.Image) -> Image.Image:
    """Blurred, with a red bar."""
    picture = picture.filter(ImageFilter.GaussianBlur(3))
    picture.paste((255, 0, 0), (10, 20, 90, 60))
    return picture


def test_the_size_of_the_file_format_does_not_matter(use, gallery, tmp_path, name):
    items = []
    for number, item in enumerate(gallery.items):
        with Image.open(item.path) as picture:
            picture.save(tmp_path / f"{number}.webp", lossless=True, exact=True, quality=0, method=0)
        items.append(replace(item, path=tmp_path / f"{number}.webp"))
    assert values(use, replace(gallery, items=tuple(items))) == pytest.approx(values(use, gallery), rel=1e-4, abs=1e-6)


def test_missing_needs_are_reported(use, gallery, name):
    for need in registry.metrics.get(name).needs:
        if need == "prompt":
            lacking = replace(gallery, items=tuple(replace(item, prompt=" ") for item in gallery.items))
        else:
            lacking = replace(gallery, **{need: EMPTY[need]})
        with pytest.raises(LimnerError, match=rf"'{name}.*needs {NEEDS[need]}"):
            values(use, lacking)


def test_what_it_does_not_need_may_be_absent(use, gallery, name):
    needs = registry.metrics.get(name).needs
    prompts = gallery.items if "prompt" in needs else tuple(replace(item, prompt=None) for item in gallery.items)
    rest = {field: empty for field, empty in EMPTY.items() if field not in needs}
    assert values(use, replace(gallery, items=prompts, **rest)) == pytest.approx(values(use, gallery))


def test_no_pictures_are_no_score(use):
    with pytest.raises(LimnerError, match="no images"):
        values(use, ImageSet(()))


def test_a_broken_picture_is_one_line(use, gallery, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    items = (replace(gallery.items[0], path=tmp_path / "broken.png"), *gallery.items[1:])
    with pytest.raises(LimnerError, match=r"broken\.png"):
        values(use, replace(gallery, items=items))


def test_a_network_can_be_named_only_if_there_is_one(name):
    metric = registry.metrics.get(name)
    if metric.named:
        with pytest.raises(LimnerError, match="needs a model"):
            Scorers([MetricUse(name=name)])
    elif metric.model is None:
        with pytest.raises(LimnerError, match="uses no model"):
            Scorers([MetricUse(name=name, model="starter")])
    else:
        with pytest.raises(LimnerError, match="no-such-network"):
            Scorers([MetricUse(name=name, model="./no-such-network")])


@pytest.mark.parametrize("name", sorted(EXTREMES))
def test_the_same_pictures_are_the_extreme(name, scenes):
    items = tuple(replace(scenes[0], group=str(i // 2)) for i in range(4))
    same = (scenes[0].path,)
    found = values(name, ImageSet(items, references=same, training=same, base=items))
    assert found == pytest.approx(EXTREMES[name], abs=1e-5)

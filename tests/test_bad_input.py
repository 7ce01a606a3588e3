"""What bad input gets: one line that names the problem, the value and the way to mend it; exit code 2; nothing left."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from limner import Studio, TrainRequest
from limner.models.options import LORA_FILE


@pytest.fixture
def files(tmp_path, home):
    """A function that lists what lies in the working folder, Limner's home left out."""

    def found():
        return sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if home not in (p, *p.parents))

    return found


@pytest.fixture
def refused(limner, files, home):
    """Run a command that must be refused; the answer is its line. Nothing may be left behind."""

    def run(*arguments, left=()) -> str:
        before = sorted({*files(), *left})
        said = limner(*arguments)
        assert said.code == 2, (said.code, said.out, said.err)
        assert said.out == ""
        assert sorted({*files(), *left}) == before, "something was left behind"
        assert not [p for p in home.rglob("*") if ".limner-" in p.name or "partial" in p.name], (
            "a temporary file was left"
        )
        return said.error

    return run


@pytest.fixture
def train(tiny_sd, painted):
    """Arguments of a short training; others follow."""

    def arguments(*more, data=painted, model=tiny_sd):
        return ["train", data, "--class", "dog", "--model", model, "--steps", "2", "--batch", "1", "--no-prior", *more]

    return arguments


@pytest.fixture
def generate(tiny_sd):
    def arguments(*more, prompt="a dog", model=tiny_sd):
        return ["generate", prompt, "--model", model, "--steps", "1", *more]

    return arguments


@pytest.fixture(scope="module")
def adapter(tiny_sd, painted, tmp_path_factory):
    """An adapter for the tiny SD model."""
    folder = tmp_path_factory.mktemp("adapter")
    request = TrainRequest(
        data=str(painted), class_word="dog", model=str(tiny_sd), steps=1, batch=1, prior=False, options={"rank": 2}
    )
    Studio(folder / "home").run(request, folder / "rex")
    return folder / "rex"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Pictures


def test_empty_folder(refused, train, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is empty; put 5 to 20 images" in refused(*train(data=tmp_path / "empty"))


def test_folder_that_is_not_there(refused, train, painted):
    assert f"did you mean {str(painted)!r}" in refused(*train(data=f"{painted}g"))


def test_no_readable_picture(refused, train, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "a.jpg").write_text("no picture")
    (folder / "b.png").write_bytes(b"\x89PNG\r\n")
    line = refused(*train(data=folder))
    assert line.startswith("no readable image in") and "'a.jpg'" in line and "'b.png'" in line


def test_unreadable_pictures_are_named_and_skipped(limner, train, painted, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(painted, folder)
    whole = (folder / "0.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture")
    bomb = (
        chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    said = limner(*train("--out", "rex", data=folder))
    assert said.code == 0, said.err
    skipped = [line for line in said.err.splitlines() if "skipped" in line]
    assert len(skipped) == 3 and all(any(name in line for line in skipped) for name in ("truncated", "text", "bomb"))
    assert any("million" in line for line in skipped)
    assert (tmp_path / "rex" / LORA_FILE).is_file()


def test_a_lone_picture_bomb(refused, train, tmp_path):
    folder = tmp_path / "bombs"
    folder.mkdir()
    bomb = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    assert "100 million" in refused(*train(data=folder))


def test_few_pictures_are_a_warning(limner, train, painted, tmp_path):
    (tmp_path / "few").mkdir()
    shutil.copy(painted / "0.png", tmp_path / "few")
    said = limner(*train("--out", "rex", data=tmp_path / "few"))
    assert said.code == 0 and "warning: only 1 image" in said.err


# Names


def test_unknown_model(refused, generate, train):
    assert "unknown model 'sdx'; did you mean 'sdxl'" in refused(*generate(model="sdx"))
    assert "unknown model 'startr'; did you mean 'starter'" in refused(*train(model="startr"))


def test_unknown_adapter(refused, generate, tmp_path):
    (tmp_path / "rex").mkdir()
    (tmp_path / "rexes").mkdir()
    (tmp_path / "rex" / LORA_FILE).touch()
    line = refused(*generate("--adapter", "rexx"))
    assert line == "unknown adapter 'rexx'; did you mean 'rex'? choose one of: rex"


def test_unknown_scheduler(refused, generate):
    assert "unknown scheduler 'dmpp2m'; did you mean 'dpm++2m'" in refused(*generate("--scheduler", "dmpp2m"))


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [("--step", "--steps"), ("--guidence", "--guidance"), ("--adaptor", "--adapter"), ("--sede=3", "--seed")],
)
def test_unknown_flag(refused, generate, flag, nearest):
    assert f"did you mean '{nearest}'" in refused(*generate(flag, *([] if "=" in flag else ["1"])))


def test_unknown_method(refused, train):
    assert "unknown method 'lorra'; did you mean 'lora'" in refused(*train("--method", "lorra"))


def test_unknown_command(refused):
    assert "unknown command 'trian'; did you mean 'train'" in refused("trian", "photos")


def test_unknown_run(refused, limner, generate):
    assert "unknown run '991231-000000-abcd'" in refused("show", "991231-000000-abcd")
    assert limner(*generate()).code == 0
    run = Studio().runs.list()[0].id
    wrong = run[:-1] + ("a" if run[-1] != "a" else "b")
    assert f"did you mean '{run}'" in refused("show", wrong)


# Adapters and models


def test_adapter_of_another_base(refused, adapter, tiny_sd, tiny_sdxl, generate):
    line = refused(*generate("--adapter", adapter, model=tiny_sdxl))
    assert "was made for" in line and f"use --model {tiny_sd}" in line


def test_adapter_of_another_base_without_our_header(refused, adapter, tiny_sdxl, generate, tmp_path):
    from safetensors.torch import load_file, save_file

    stray = tmp_path / "stray.safetensors"
    tensors = {
        name: tensor.repeat(2, *[1] * (tensor.ndim - 1)) for name, tensor in load_file(adapter / LORA_FILE).items()
    }
    save_file(tensors, stray, {"format": "pt"})
    assert "does not fit this base model" in refused(*generate("--adapter", stray, model=tiny_sdxl))


@pytest.mark.parametrize("name", ["rex.pt", "rex.ckpt", "rex.bin", "rex.pth"])
def test_pickle_adapter(refused, generate, tmp_path, name):
    torch.save({"weight": torch.zeros(2)}, tmp_path / name)
    line = refused(*generate("--adapter", tmp_path / name))
    assert "pickle" in line and "safetensors" in line


def test_pickle_adapter_in_a_folder(refused, generate, tmp_path):
    (tmp_path / "rex").mkdir()
    torch.save({}, tmp_path / "rex" / "pytorch_lora_weights.bin")
    assert "pickle" in refused(*generate("--adapter", tmp_path / "rex"))


def test_adapter_folder_without_weights(refused, generate, tmp_path):
    (tmp_path / "rex").mkdir()
    assert "holds no .safetensors file" in refused(*generate("--adapter", tmp_path / "rex"))


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"\xff" * 8 + b"{}", (20).to_bytes(8, "little") + b'{"a": 1'])
def test_broken_adapter(refused, generate, tmp_path, content):
    (tmp_path / "rex.safetensors").write_bytes(content)
    assert "cannot be read" in refused(*generate("--adapter", tmp_path / "rex.safetensors"))


def test_truncated_adapter(refused, generate, adapter, tmp_path):
    data = (adapter / LORA_FILE).read_bytes()
    (tmp_path / "rex.safetensors").write_bytes(data[:-100])
    assert "cannot be read" in refused(*generate("--adapter", tmp_path / "rex.safetensors"))


def test_pickle_model_file(refused, generate, tmp_path):
    torch.save({}, tmp_path / "model.ckpt")
    line = refused(*generate(model=tmp_path / "model.ckpt"))
    assert "pickle" in line and "safetensors" in line


def test_pickle_model_folder(refused, generate, tiny_sd, tmp_path, caplog):
    """A diffusers folder whose denoiser comes as a pickle only."""
    model = tmp_path / "model"
    shutil.copytree(tiny_sd, model)
    for path in (model / "unet").glob("*.safetensors"):
        path.unlink()
    torch.save({}, model / "unet" / "diffusion_pytorch_model.bin")
    caplog.handler.setLevel(logging.ERROR)
    logging.getLogger("diffusers").addHandler(caplog.handler)  # which does not propagate its records
    try:
        assert "pickle" in refused(*generate(model=model))
    finally:
        logging.getLogger("diffusers").removeHandler(caplog.handler)
    assert caplog.text == "", "only the line of the error is printed"


def test_model_folder_that_is_none(refused, generate, tmp_path):
    (tmp_path / "model").mkdir()
    assert "no model_index.json" in refused(*generate(model=tmp_path / "model"))


def test_model_of_an_unknown_kind(refused, generate, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text('{"_class_name": "MagicPipeline"}')
    assert "MagicPipeline" in refused(*generate(model=tmp_path / "model"))


@pytest.mark.parametrize("content", ["", "[", "[]", "3", '{"_class_name": 3}', '{"_class_name": null}'])
def test_model_with_a_broken_index(refused, generate, tmp_path, content):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text(content)
    refused(*generate(model=tmp_path / "model"))


def test_model_with_truncated_weights(refused, generate, tiny_sd, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_sd, model)
    weights = next((model / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(*generate(model=model))


def test_no_network_and_not_on_disk(refused, generate):
    line = refused(*generate(model="some/model"))
    assert "'some/model' is not on disk and could not be fetched" in line and "--model starter" not in line


# The machine


def test_no_gpu(refused, generate, train, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "device 'cuda' is not available" in refused(*generate("--device", "cuda"))
    assert "use --device cpu" in refused(*train("--device", "cuda:1"))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory(refused, generate, train, monkeypatch, error):
    from limner.engine.generate import session as generating
    from limner.engine.train import subject

    def full(*arguments, **options):
        raise error

    monkeypatch.setattr(generating, "sample_images", full)
    monkeypatch.setattr(subject.SubjectLesson, "losses", full)
    assert "ran out of memory; use --memory low, a smaller --batch" in refused(*generate())
    assert "ran out of memory; use a smaller --batch" in refused(*train("--out", "rex"))


def test_full_disk(refused, generate, train, monkeypatch):
    """The disk is full from the moment that a result is flushed to it."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "no space is left" in refused(*generate("--out", "pictures"), left=["pictures"])  # empty
    assert "no space is left" in refused(*train("--out", "rex"))


def test_full_disk_under_safetensors(refused, train, monkeypatch):
    import safetensors.torch
    from safetensors import SafetensorError

    from limner.engine.train import checkpoint

    def full(*arguments, **options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    monkeypatch.setattr(checkpoint, "save_file", full)
    assert "no space is left" in refused(*train("--out", "rex"))


def test_a_folder_that_may_not_be_written(refused, generate, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the administrator may write everywhere")
    (tmp_path / "mine").mkdir(mode=0o500)
    assert "no permission" in refused(*generate("--out", tmp_path / "mine" / "pictures"))


def test_out_is_a_file(refused, generate, train, tmp_path):
    (tmp_path / "taken").write_text("mine")
    assert "taken" in refused(*generate("--out", "taken"))
    assert "taken" in refused(*train("--out", "taken"))
    assert (tmp_path / "taken").read_text() == "mine"


def test_out_exists(refused, train, tmp_path):
    (tmp_path / "rex").mkdir()
    (tmp_path / "rex" / "notes.txt").write_text("mine")
    assert "rex' exists already; choose another --out" in refused(*train("--out", "rex"))


# Values


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--steps", "0"], "steps '0'"),
        (["--steps", "1.5"], "1.5"),
        (["--steps", "many"], "many"),
        (["--guidance", "nan"], "guidance"),
        (["--guidance", "inf"], "guidance"),
        (["--guidance", "-1"], "guidance '-1"),
        (["--count", "-1"], "count '-1'"),
        (["--count", "0"], "--count '0'"),
        (["--batch", "0"], "batch '0'"),
        (["--seed", "-1"], "seed '-1'"),
        (["--seed", str(2**64)], "seed"),
        (["--width", "7"], "width '7'"),
        (["--width", "60"], "width 60 is not a multiple of 8"),
        (["--device", "gpu"], "'gpu' is not a device"),
        (["--precision", "fp8"], "fp8"),
        (["--adapter", ""], "adapter"),
        (["--vae", ""], "--vae '': use at least 1 character"),
        (["--adapter", "rex:9"], "weight"),
        (["--count"], "--count"),
    ],
)
def test_bad_values_of_generate(refused, tiny_sd, flags, said):
    assert said in refused("generate", "a dog", "--model", tiny_sd, *flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--warmup", "-1"], "warmup '-1'"),
        (["--epochs", "1"], "both steps (2) and epochs (1)"),
        (["--learning-rate", "nan"], "--learning-rate"),
        (["--learning-rate", "0"], "--learning-rate"),
        (["--rank", "0"], "rank"),
        (["--alpha", "-1"], "alpha"),
        (["--targets", "nonsense"], "unknown LoRA target 'nonsense'"),
        (["--resolution", "60"], "resolution 60 is not a multiple of 8"),
        (["--prompt", "a {cat}"], "may contain only {identifier} and {class}"),
        (["--schedule", "cosin"], "cosin"),
        (["--track", "mlflow"], "mlflow"),
        (["--held-out", "-1"], "--held-out"),
        (["--identifier", ""], "--identifier '': use at least 1 character"),
        (["--identifier", "s\x1bks"], "--identifier: 's\\x1bks' is not a word or words"),
        (["--identifier", "\n"], "--identifier: '\\n' is not a word or words"),
        (["--precision", "fp16"], "fp16"),
    ],
)
def test_bad_values_of_train(refused, train, flags, said):
    assert said in refused(*train("--out", "rex", *flags))


@pytest.mark.parametrize("prompt", ["", "   "])
def test_empty_prompt(refused, generate, prompt):
    assert "the prompt is empty" in refused(*generate(prompt=prompt))


@pytest.mark.parametrize("command", [["generate"], ["train", "photos"], ["run"], ["show"]])
def test_missing_values(refused, command):
    assert len(refused(*command)) > 10


def test_resume_without_a_run(refused, train):
    assert "there is no interrupted run of this request; leave out --resume" in refused(*train("--resume"))


def test_picture_without_a_label(refused, painted, tmp_path):
    assert "carries no Limner request" in refused("run", painted / "0.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    assert "it is not a PNG file" in refused("run", tmp_path / "a.jpg")
    assert "does not exist" in refused("run", tmp_path / "nothing.png")


def test_several_mistakes_are_told_together(refused, generate):
    line = refused(*generate("--count", "0", "--batch", "0"))
    assert "count" in line and "batch" in line


def test_a_whole_is_not_told_again_beside_its_part(refused):
    assert refused("prepare", "").endswith("sources '': use at least 1 character")


def test_a_damaged_database(refused, home, generate):
    (home / "limner.db").write_text("no database" * 1000)
    assert "is not a database" in refused(*generate())


def test_home_is_a_file(limner, home):
    shutil.rmtree(home)
    Path(home).write_text("mine")
    said = limner("runs")
    assert said.code == 2 and str(home) in said.error

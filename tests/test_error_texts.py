"""Errors of the command line name the flag, the value and the remedy, in words that no library wrote."""

from __future__ import annotations

import pytest

from limner.core.requests.sweep import Axis


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("generate a --steps abc", "--steps 'abc': write a whole number, such as 8"),
        ("generate a --width 1e3", "--width '1e3': write a whole number, such as 8"),
        ("generate a --batch 1.5", "--batch '1.5': write a whole number, such as 8"),
        ("worker --together x", "--together 'x': write a whole number, such as 8"),
        ("serve --port abc", "--port 'abc': write a whole number, such as 8"),
        ("generate a --guidance x", "--guidance 'x': write a number, such as 7.5"),
        ("history --since x", "--since 'x': write a date, such as 2026-01-31"),
        ("generate a --guidance-method foo", "--guidance-method 'foo': choose one of: cfg, apg"),
        ("keys add x --role boss", "--role 'boss': choose one of: viewer, maker, admin"),
        ("generate a --quantise 4", "--quantise '4': choose one of: nf4, int8"),
        ("generate a --device gpu", "--device: 'gpu' is not a device; use auto, cpu, mps, cuda, or cuda:1"),
        ("generate", "PROMPT is missing; see limner generate --help"),
        ("train photos", "--class is missing; see limner train --help"),
        ("generate a --out", "--out has no value; write it behind the flag"),
        ("generate a --out x --out y", "--out is given more than once; give it once"),
        ("generate a b c", "'b c' is not expected here; put a value that contains spaces in quotation marks"),
        ("generate a --axis 1", "unknown flag '--axis'; --help lists all flags"),
        ("rate x 9", "stars '9': input should be less than or equal to 5"),
        (
            "rate nosuch 4",
            "'nosuch' is not a file, and not the id of an image or a run; `limner history` lists the images",
        ),
        ("rate x " + "9" * 5000, "give images or runs, then the stars"),
        ("show nosuch", "unknown run 'nosuch'; `limner runs` lists the runs"),
    ],
)
def test_what_is_wrong_is_named(limner, command, error):
    said = limner(*command.split())
    assert said.code == 2
    assert said.error.startswith(error)


def test_every_axis_that_an_error_lists_is_accepted(limner):
    error = limner("sweep", "a cat", "--axis", "nosuch=1,2").error
    listed = error.partition("choose one of: ")[2].split(", ")
    assert len(listed) > 20
    for name in listed:
        assert Axis.model_validate(f"{name}=a,b").field == name.lstrip("-").replace("-", "_")


@pytest.mark.parametrize("command", ["models get sdxl", "generate a --model owner/nosuch"])
def test_without_a_network_the_reason_is_a_sentence(limner, command, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = limner(*command.split()).error
    assert "is not on disk and could not be fetched (HF_HUB_OFFLINE is set); check the name and the network" in error
    assert "starter" not in error

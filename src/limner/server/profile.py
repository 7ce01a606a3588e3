"""A marketing profile: which model, adapter and words belong to each industry and style."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import Field, ValidationError, model_validator

from limner.core.errors import LimnerError, invalid
from limner.core.execution import body_model
from limner.core.requests import AdapterUse, Frozen, GenerateRequest, Name

SHIPPED = Path(__file__).with_name("marketing.yaml")
FILLED = {"prompt", "image", "kind"}


class Side(Frozen):
    """What one kind of painting is asked with: fields of a generate request, such as model, steps and strength."""

    request: dict[str, Any] = Field(default_factory=dict[str, Any])

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value if isinstance(value, dict) and "request" in value else {"request": value}


class Industry(Frozen):
    """Words that are put behind the prompt, and adapters of which each call uses one, the best rated one most often."""

    words: str = ""
    text: tuple[AdapterUse, ...] = ()
    picture: tuple[AdapterUse, ...] = ()


class Style(Frozen):
    """How a prompt is put: `{prompt}` stands for the call's own words."""

    prompt: str = "{prompt}"
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _filled(self) -> Style:
        if "{prompt}" not in self.prompt:
            raise ValueError(f"prompt {self.prompt!r} must hold {{prompt}}")
        return self


class Profile(Frozen):
    """text: painting from words alone. picture: painting from a base picture."""

    text: Side = Field(default_factory=Side)
    picture: Side = Field(default_factory=Side)
    industries: dict[Name, Industry] = Field(min_length=1)
    styles: dict[Name, Style] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> Profile:
        for what, names in (("industries", self.industries), ("styles", self.styles)):
            if len({name.strip().casefold() for name in names}) < len(names):
                raise ValueError(f"{what}: two have one name, whatever its capitals; name them apart")
        return self

    @model_validator(mode="after")
    def _possible(self) -> Profile:
        for name, image in (("text", None), ("picture", "picture")):
            fields = getattr(self, name).request
            if filled := FILLED & fields.keys():
                raise ValueError(f"{name}: {min(filled)} comes with each call; leave it out")
            try:
                body_model("generate").model_validate({**fields, "prompt": "x", "image": image})
            except ValidationError as error:
                raise ValueError(f"{name}: {invalid(error)}") from error
        return self

    def adapters(self, industry: str, image: str | None) -> tuple[AdapterUse, ...]:
        """The adapters of an industry, of which one is used; LimnerError for an unknown one."""
        sector = choose("industry", industry, self.industries)
        return sector.picture if image else sector.text

    def request(
        self,
        prompt: str,
        industry: str,
        style: str,
        image: str | None = None,
        adapter: AdapterUse | None = None,
        seed: int | None = None,
    ) -> GenerateRequest:
        """The body of the request that a call stands for; seed: where the profile names none, a new one when not given.

        Raises LimnerError for an unknown industry or style.
        """
        sector, manner = choose("industry", industry, self.industries), choose("style", style, self.styles)
        side = self.picture if image else self.text
        words = ", ".join(filter(None, (prompt.strip(), sector.words)))
        fields: dict[str, Any] = {
            "seed": secrets.randbelow(2**32) if seed is None else seed,
            **side.request,
            "prompt": manner.prompt.replace("{prompt}", words),
            "image": image,
        }
        if manner.negative_prompt:
            fields["negative_prompt"] = manner.negative_prompt
        if adapter is not None:
            fields["adapter"] = (adapter,)
        return cast(GenerateRequest, body_model("generate").model_validate(fields))


def choose(what: str, name: str, known: dict[str, Any]) -> Any:
    """The entry of that name, whatever its capitals; LimnerError that lists those there are."""
    found = {key.casefold(): value for key, value in known.items()}.get(name.strip().casefold())
    if found is None:
        raise LimnerError(f"unknown {what} {name!r}", f"choose one of: {', '.join(known)}")
    return found


def read_profile(path: Path | None) -> Profile:
    """The profile in a YAML file, or the one that comes with Limner."""
    path = path or SHIPPED
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LimnerError(
            f"profile {str(path)!r} cannot be read: {error}", "check its name and its indentation"
        ) from error
    try:
        return Profile.model_validate(told)
    except ValidationError as error:
        raise LimnerError(f"profile {str(path)!r}: {invalid(error)}") from error

"""The marketing profile: the model, adapters and prompt words of each industry and style."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import Field, ValidationError, model_validator

from limner.core.errors import LimnerError, invalid
from limner.core.execution import body_model
from limner.core.files import expand_home, read_file
from limner.core.promotions import ImprovementPlan
from limner.core.requests import AdapterUse, Frozen, GenerateRequest, Name, replace_references
from limner.studio.files import REFERENCE
from limner.studio.references import is_model
from limner.studio.studio import Studio

SHIPPED = Path(__file__).with_name("marketing.yaml")
CALL_FIELDS = {"prompt", "image", "kind"}
"""Fields of a generate request that come from the HTTP request, not from the profile."""
BASE_IMAGE = "sha256:" + "0" * 64
"""Stands for the base image of an HTTP request."""


class Defaults(Frozen):
    """Fields of a generate request, such as model, steps and strength, for generation with or without a base image."""

    request: dict[str, Any] = Field(default_factory=dict[str, Any])

    @model_validator(mode="before")
    @classmethod
    def _from_fields(cls, value: Any) -> Any:
        return value if isinstance(value, dict) and "request" in value else {"request": value}


class Industry(Frozen):
    """Words to append to the prompt, and adapters: each call uses one, better rated ones more often.

    improve: when the adapters are improved from ratings; None for never.
    """

    words: str = ""
    text: tuple[AdapterUse, ...] = ()
    picture: tuple[AdapterUse, ...] = ()
    improve: ImprovementPlan | None = None

    @model_validator(mode="after")
    def _adapters_to_improve(self) -> Industry:
        if self.improve and not (self.text or self.picture):
            raise ValueError("improve is given, but no adapter; add one under text or picture")
        return self


class Style(Frozen):
    """A prompt template, where `{prompt}` stands for the prompt of the call."""

    prompt: str = "{prompt}"
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _check_placeholder(self) -> Style:
        if "{prompt}" not in self.prompt:
            raise ValueError(f"prompt {self.prompt!r} must contain {{prompt}}")
        return self


class Profile(Frozen):
    """text: fields for generation from a prompt. picture: fields for generation from a base image."""

    text: Defaults = Field(default_factory=Defaults)
    picture: Defaults = Field(default_factory=Defaults)
    industries: dict[Name, Industry] = Field(min_length=1)
    styles: dict[Name, Style] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> Profile:
        for what, names in (("industries", self.industries), ("styles", self.styles)):
            if len({name.strip().casefold() for name in names}) < len(names):
                raise ValueError(f"{what}: two names differ in case or spaces only; rename one of them")
        return self

    @model_validator(mode="after")
    def _check_fields(self) -> Profile:
        for name, image in (("text", None), ("picture", "picture")):
            fields = getattr(self, name).request
            if found := CALL_FIELDS & fields.keys():
                raise ValueError(f"{name}: {min(found)} comes from each request; remove it")
            try:
                body_model("generate").model_validate({**fields, "prompt": "x", "image": image})
            except ValidationError as error:
                raise ValueError(f"{name}: {invalid(error)}") from error
        return self

    def adapters(self, industry: str | None, image: str | None) -> tuple[AdapterUse, ...]:
        """Return the adapters of an industry, of which a call uses one; raises LimnerError for an unknown one."""
        found = self._industry(industry)
        return found.picture if image else found.text

    @property
    def default_style(self) -> str:
        """The style of a call that names none: the first."""
        return next(iter(self.styles))

    def _industry(self, name: str | None) -> Industry:
        return Industry() if name is None else _lookup("industry", name, self.industries)

    def request(
        self,
        prompt: str,
        industry: str | None,
        style: str,
        image: str | None = None,
        adapter: AdapterUse | None = None,
        seed: int | None = None,
        fields: Mapping[str, Any] | None = None,
        words: str | None = None,
    ) -> GenerateRequest:
        """Return the body of a call's generate request; raises LimnerError for an unknown industry or style.

        industry: None adds no words. seed: used if the profile has none; random when None. fields: of the call,
        which replace those of the profile. words: which are added in place of the industry's.
        """
        sector, template = self._industry(industry), _lookup("style", style, self.styles)
        defaults = self.picture if image else self.text
        added = sector.words if words is None else words.strip()
        whole = ", ".join(filter(None, (prompt.strip(), added)))
        request: dict[str, Any] = {
            "seed": secrets.randbelow(2**32) if seed is None else seed,
            **defaults.request,
            **(fields or {}),
            "prompt": template.prompt.replace("{prompt}", whole),
            "image": image,
        }
        if template.negative_prompt:
            request["negative_prompt"] = template.negative_prompt
        if adapter is not None:
            request["adapter"] = (adapter,)
        return cast(GenerateRequest, body_model("generate").model_validate(request))


def profile_with(adapters: Mapping[str, Path]) -> str:
    """The shipped profile as YAML, with an adapter for each of these industries; comments are left out."""
    profile = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    for name, folder in adapters.items():
        profile["industries"][name] |= {"text": [str(folder.resolve())], "picture": [str(folder.resolve())]}
    return yaml.safe_dump(profile, sort_keys=False)


def _lookup(what: str, name: str, known: dict[str, Any]) -> Any:
    """Return the entry of a name, ignoring case; raises LimnerError that lists the known names."""
    found = {key.casefold(): value for key, value in known.items()}.get(name.strip().casefold())
    if found is None:
        raise LimnerError(f"unknown {what} {name!r}", f"choose one of: {', '.join(known)}")
    return found


def read_profile(path: Path | None) -> Profile:
    """Read a profile from a YAML file, or the one that comes with Limner."""
    path = path or SHIPPED
    try:
        content = yaml.safe_load(read_file(path))
    except LimnerError as error:
        raise LimnerError(f"profile {str(path)!r} cannot be read: {error.problem}", error.remedy) from error
    except yaml.YAMLError as error:
        raise LimnerError(
            f"profile {str(path)!r} cannot be read: {error}", "check its name and its indentation"
        ) from error
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        raise LimnerError(f"profile {str(path)!r}: {invalid(error)}") from error


def store_files(profile: Profile, studio: Studio) -> tuple[Profile, frozenset[str]]:
    """Store the local files and folders of a profile, so that every worker can read them.

    Returns the profile with references in place of paths, and all references in it. Raises LimnerError for a file that
    does not exist.
    """
    references: set[str] = set()

    def store(name: str) -> str:
        references.add(reference := _reference(studio, name))
        return reference

    def store_model(name: str) -> str:
        return name if is_model(name) and not Path(name).exists() else store(name)

    def stored(uses: tuple[AdapterUse, ...]) -> tuple[AdapterUse, ...]:
        return tuple(use.model_copy(update={"path": store(use.path)}) for use in uses)

    ready = Profile(
        text=_defaults(profile.text, None, store, store_model),
        picture=_defaults(profile.picture, BASE_IMAGE, store, store_model),
        industries={
            name: industry.model_copy(update={"text": stored(industry.text), "picture": stored(industry.picture)})
            for name, industry in profile.industries.items()
        },
        styles=profile.styles,
    )
    return ready, frozenset(references)


def _defaults(
    defaults: Defaults, image: str | None, store: Callable[[str], str], store_model: Callable[[str], str]
) -> Defaults:
    """Return the fields with references in place of paths."""
    request = body_model("generate").model_validate({**defaults.request, "prompt": "x", "image": image})
    moved = replace_references(request, lambda name: name if name == BASE_IMAGE else store(name), store_model)
    return Defaults(request=moved.model_dump(mode="json", include=set(defaults.request)))


def _reference(studio: Studio, name: str) -> str:
    """Return the reference of a file or folder, which is stored first if `name` is a path."""
    if found := REFERENCE.fullmatch(name):
        if found[2] not in studio.files:
            raise LimnerError(f"the profile uses {name!r}, which is not stored here", "upload it, or write its path")
        return name
    place = expand_home(name)
    if not place.exists():
        raise LimnerError(f"the profile uses {name!r}, which does not exist", "check the path, or write sha256:HASH")
    return studio.files.upload(place)  # belongs to no account, so that no deletion of unused uploads removes it

"""A wish for pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from limner.core.requests.generation import GenerationSettings
from limner.core.requests.request import Flag, Prompt, digest_of


class GenerateRequest(GenerationSettings):
    """Paint pictures from a prompt, and where given, from a picture."""

    kind: Annotated[Literal["generate"], Flag(hidden=True)] = "generate"
    prompt: Annotated[Prompt, Flag(positional=True)] = Field(description="What to paint.")
    count: int = Field(default=1, ge=1, le=10_000, description="How many pictures; picture i is painted from seed + i.")

    @property
    def shares_folder(self) -> bool:
        return True  # its pictures are numbered, each by a name that must be new

    @property
    def words(self) -> tuple[str, ...]:
        """A negative prompt is none of it: it says what shall not be seen, and who is careful names the worst there."""
        return (self.prompt,)

    @property
    def pictures(self) -> int:
        return self.count

    @property
    def batch_key(self) -> str | None:
        """Pictures painted from prompts alone go through the model together where all but prompts and seeds is alike.

        Where nothing is kept out of a picture, some models take another way.
        """
        if self.image or self.control or self.hires or self.refiner:
            return None
        shared = self.model_dump(mode="json", exclude={"prompt", "negative_prompt", "seed", "count"})
        return digest_of(shared | {"negative": bool(self.negative_prompt)})

    @field_validator("prompt")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is empty; say what to paint")
        return value

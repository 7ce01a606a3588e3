"""Exports feedback as training data: JSON lines, or a parquet file that `datasets` opens with its images.

Ratings have columns of our own; pairs have those of Pick-a-Pic, which Diffusion-DPO reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Literal

from limner.core.errors import LimnerError
from limner.core.feedback import GeneratedImage
from limner.store.preferences import PreferenceData, PreferencePair, RatedImage

if TYPE_CHECKING:
    import pyarrow

ExportKind = Literal["ratings", "pairs"]
Embed = Literal["no", "image", "bytes"]
ExportFormat = Literal["jsonl", "parquet"]
ExportRow = dict[str, Any]
GROUP = 100
"""Rows of a parquet batch, which are in memory at once with their images."""
TYPES = {
    "ratings": {
        **dict.fromkeys(("prompt", "negative_prompt", "model"), "string"),
        "adapters": "strings",
        **dict.fromkeys(("seed", "steps"), "int64"),
        "guidance": "float64",
        **dict.fromkeys(("width", "height"), "int64"),
        **dict.fromkeys(("industry", "style", "image_uid", "image_url"), "string"),
        "stars": "int64",
        "reasons": "strings",
        **dict.fromkeys(("comment", "user_id"), "string"),
        "created_at": "moment",
    },
    "pairs": {
        **dict.fromkeys(("caption", "negative_prompt"), "string"),
        **dict.fromkeys(("label_0", "label_1"), "float64"),
        **dict.fromkeys(("has_label", "are_different"), "bool"),
        **dict.fromkeys(("best_image_uid", "source"), "string"),
        "reasons": "strings",
        "user_id": "string",
        "created_at": "moment",
        **{
            f"{name.format(side)}": kind
            for side in (0, 1)
            for name, kind in {
                "image_{}_uid": "string",
                "image_{}_url": "string",
                "model_{}": "string",
                "adapters_{}": "strings",
                "seed_{}": "int64",
            }.items()
        },
    },
}
IMAGE_COLUMNS = {"ratings": ("image",), "pairs": ("jpg_0", "jpg_1")}


@dataclass(frozen=True, slots=True)
class FeedbackExport:
    """Feedback to export.

    kind: ratings, or pairs. stars: also pairs that follow from ratings. url: the URL of an image. read: the bytes of an
    image; None if its file is missing.
    """

    data: PreferenceData
    kind: ExportKind
    stars: bool
    url: Callable[[GeneratedImage], str]
    read: Callable[[GeneratedImage], bytes | None]

    def rows(self, embed: bool = False) -> Iterator[ExportRow]:
        """The rows. embed: with the bytes of their images."""
        if self.kind == "ratings":
            for rated in self.data.ratings():
                yield self._rating(rated) | ({"image": self.read(rated.picture)} if embed else {})
            return
        for pair in self._pairs():
            sides = {"jpg_0": pair.better, "jpg_1": pair.worse} if embed else {}
            yield self._pair(pair) | {name: self.read(image) for name, image in sides.items()}

    def json_lines(self) -> Iterator[bytes]:
        """Each row as a line of JSON."""
        for row in self.rows():
            yield json.dumps(row, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n"

    def write_parquet(self, file: IO[bytes], embed: Embed) -> None:
        """Write all rows as a parquet file.

        embed: images as Hugging Face's Image feature, which `datasets` opens, or as bytes, which Diffusion-DPO's
        training script reads.
        """
        pa = _pyarrow()
        import pyarrow.parquet as parquet

        schema = _schema(self.kind, embed)
        rows = self.rows(embed != "no")
        with closing(parquet.ParquetWriter(file, schema, compression="zstd")) as writer:
            while batch := list(islice(rows, GROUP)):
                writer.write_batch(pa.RecordBatch.from_pylist(_with_images(batch, self.kind, embed), schema))

    def _pairs(self) -> Iterator[PreferencePair]:
        """Pairs of images of the same prompts; others say nothing about either prompt."""
        for pair in self.data.comparisons():
            if _prompts(pair.better) == _prompts(pair.worse):
                yield pair
        if self.stars:
            yield from self.data.pairs_from_stars()

    def _rating(self, rated: RatedImage) -> ExportRow:
        image, request = rated.picture, rated.picture.request
        return {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "model": request.model,
            "adapters": [use.path for use in request.adapter],
            **{name: image.fact(name) for name in ("seed", "steps", "guidance", "width", "height")},
            "industry": image.tags.get("industry"),
            "style": image.tags.get("style"),
            "image_uid": image.sha256,
            "image_url": self.url(image),
            "stars": rated.rating.stars,
            "reasons": list(rated.rating.reasons),
            "comment": rated.rating.comment,
            "user_id": rated.rater,
            "created_at": rated.created,
        }

    def _pair(self, pair: PreferencePair) -> ExportRow:
        """The row of a pair. The preferred image is 0; both labels of a tie are 0.5."""
        row: ExportRow = {
            "caption": pair.better.request.prompt,
            "negative_prompt": pair.better.request.negative_prompt,
            "label_0": 0.5 if pair.tie else 1.0,
            "label_1": 0.5 if pair.tie else 0.0,
            "has_label": True,
            "are_different": pair.better.sha256 != pair.worse.sha256,
            "best_image_uid": "tie" if pair.tie else pair.better.sha256,
            "source": pair.source,
            "reasons": list(pair.reasons),
            "user_id": pair.rater,
            "created_at": pair.created,
        }
        for side, image in enumerate((pair.better, pair.worse)):
            row |= {
                f"image_{side}_uid": image.sha256,
                f"image_{side}_url": self.url(image),
                f"model_{side}": image.request.model,
                f"adapters_{side}": [use.path for use in image.request.adapter],
                f"seed_{side}": image.fact("seed"),
            }
        return row


def _prompts(image: GeneratedImage) -> tuple[str, str]:
    return image.request.prompt, image.request.negative_prompt


def check_export(format: ExportFormat, embed: Embed) -> None:
    """Raise LimnerError if the format cannot hold images, or pyarrow is missing."""
    if format == "jsonl" and embed != "no":
        raise LimnerError("JSON lines cannot hold images", "choose parquet, or fetch the images by their URLs")
    if format == "parquet":
        _pyarrow()


def _schema(kind: ExportKind, embed: Embed) -> pyarrow.Schema:
    pa = _pyarrow()
    types = {"strings": pa.list_(pa.string()), "moment": pa.timestamp("us", "UTC")}
    fields = [
        (name, types.get(named) or getattr(pa, named.replace("bool", "bool_"))()) for name, named in TYPES[kind].items()
    ]
    schema = pa.schema(fields)
    for name in IMAGE_COLUMNS[kind] if embed != "no" else ():
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        schema = schema.append(pa.field(name, image if embed == "image" else pa.binary()))
    if embed == "image":
        features = {name: {"_type": "Image"} for name in IMAGE_COLUMNS[kind]}
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return schema


def _with_images(rows: Iterable[ExportRow], kind: ExportKind, embed: Embed) -> list[ExportRow]:
    """The rows with their images as structs of the Image feature; path: a name with the suffix of the format."""
    if embed != "image":
        return list(rows)
    return [
        row | {name: row[name] and {"bytes": row[name], "path": f"{name}.png"} for name in IMAGE_COLUMNS[kind]}
        for row in rows
    ]


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise LimnerError("parquet needs pyarrow, which is not installed", "pip install 'limner[export]'") from error
    return pyarrow

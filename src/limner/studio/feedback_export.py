"""Rows of feedback -> JSON lines, or a parquet file that `datasets` shows with its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Literal

from limner.core.errors import LimnerError
from limner.store.preferences import PreferenceData
from limner.studio.feedback_columns import Embed, Kind, Pictured, Row, rows

if TYPE_CHECKING:
    import pyarrow

Format = Literal["jsonl", "parquet"]
GROUP = 100
"""Rows that are written together; with their pictures they are in memory at once."""
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
PICTURES = {"ratings": ("image",), "pairs": ("jpg_0", "jpg_1")}


def check_export(format: Format, embed: Embed) -> None:
    """Refuse what cannot be written."""
    if format == "jsonl" and embed != "no":
        raise LimnerError("JSON lines hold no pictures", "ask for parquet, or fetch them by their URLs")
    if format == "parquet":
        _pyarrow()


def json_lines(kind: Kind, preferences: PreferenceData, pictured: Pictured, stars: bool) -> Iterator[bytes]:
    """Each row as a line of JSON."""
    for row in rows(kind, preferences, pictured, stars, embed=False):
        yield json.dumps(row, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n"


def write_parquet(
    file: IO[bytes], kind: Kind, preferences: PreferenceData, pictured: Pictured, stars: bool, embed: Embed
) -> None:
    """All rows as a parquet file. embed: pictures as Hugging Face's Image feature, which `datasets` opens, or as plain
    bytes, which Diffusion-DPO's training script reads.
    """
    pa = _pyarrow()
    import pyarrow.parquet as parquet

    schema = _schema(kind, embed)
    told = iter(rows(kind, preferences, pictured, stars, embed != "no"))
    with closing(parquet.ParquetWriter(file, schema, compression="zstd")) as writer:
        while some := list(islice(told, GROUP)):
            writer.write_batch(pa.RecordBatch.from_pylist(_images(some, kind, embed), schema))


def _schema(kind: Kind, embed: Embed) -> pyarrow.Schema:
    pa = _pyarrow()
    types = {"strings": pa.list_(pa.string()), "moment": pa.timestamp("us", "UTC")}
    fields = [
        (name, types.get(named) or getattr(pa, named.replace("bool", "bool_"))()) for name, named in TYPES[kind].items()
    ]
    schema = pa.schema(fields)
    for name in PICTURES[kind] if embed != "no" else ():
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        schema = schema.append(pa.field(name, image if embed == "image" else pa.binary()))
    if embed == "image":
        features = {name: {"_type": "Image"} for name in PICTURES[kind]}
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return schema


def _images(some: Iterable[Row], kind: Kind, embed: Embed) -> list[Row]:
    """The rows with their pictures as the Image feature has them; path: a name to tell the format from."""
    if embed != "image":
        return list(some)
    return [
        row | {name: row[name] and {"bytes": row[name], "path": f"{name}.png"} for name in PICTURES[kind]}
        for row in some
    ]


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise LimnerError("parquet takes pyarrow, which is not installed", "pip install 'limner[export]'") from error
    return pyarrow

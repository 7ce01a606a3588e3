"""Commands about what is said of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(name="feedback")


@app.command
def export(
    file: Annotated[Path, Parameter(help="The .jsonl or .parquet file to write.")],
    *,
    kind: Annotated[
        Literal["ratings", "pairs"], Parameter(help="Ratings, or pairs of pictures of one prompt.")
    ] = "ratings",
    stars: Annotated[bool, Parameter(help="Make pairs of stars too, not of comparisons only.", negative=())] = False,
    embed: Annotated[
        Literal["no", "image", "bytes"], Parameter(help="Put pictures in, as `datasets` opens them, or as plain bytes.")
    ] = "no",
) -> None:
    """Write all feedback to a file, in the columns that training on preferences reads."""
    from limner.studio.studio import Studio

    Studio().feedback.export_file(file, kind, stars, embed)
    print(file)

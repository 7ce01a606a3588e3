"""Commands of collections of images: list, create, rename and delete them, add and remove images."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from limner.cli.commands.shared import IMAGES, list_images
from limner.cli.output import print_line
from limner.core.errors import LimnerError
from limner.core.feedback import CollectionRequest

Named = Annotated[str, Parameter(help="Name or id of a collection, as `limner collection` lists them.")]
NewName = Annotated[str, Parameter(help="New name of the collection.")]
Images = Annotated[str, Parameter(help=IMAGES)]
collection = App(name="collection")


@collection.default
def list_collections() -> None:
    """List the collections with their numbers of images. `limner history --collection ID` lists the images of one."""
    from limner.cli.terminal import print_collections
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    print_collections(Studio().collections.list(Viewer()))


@collection.command
def create(name: Annotated[str, Parameter(help="Name of the collection.")]) -> None:
    """Create an empty collection."""
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    made = Studio().collections.add(Viewer(), CollectionRequest(name=name).name)
    print_line(f"Created the collection {made.name!r} (id {made.id}).")


@collection.command
def rename(name: Named, new_name: NewName) -> None:
    """Rename a collection."""
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    collections = Studio().collections
    found = collections.named(Viewer(), name)
    renamed = collections.rename(Viewer(), found.id, CollectionRequest(name=new_name).name)
    print_line(f"Renamed the collection {found.name!r} to {renamed.name!r}.")


@collection.command
def delete(name: Named) -> None:
    """Delete a collection; its images stay."""
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    collections = Studio().collections
    found = collections.named(Viewer(), name)
    collections.remove(Viewer(), found.id)
    print_line(f"Deleted the collection {found.name!r}; its images stay.")


@collection.command
def add(name: Named, *pictures: Images) -> None:
    """Add images to a collection."""
    _change(name, pictures, True)


@collection.command
def remove(name: Named, *pictures: Images) -> None:
    """Remove images from a collection."""
    _change(name, pictures, False)


def _change(name: str, pictures: tuple[str, ...], included: bool) -> None:
    """Add images to a collection, or remove them, and print what was done."""
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    if not pictures:
        raise LimnerError("no image is given", "write: limner collection add NAME pictures/0001.png")
    studio = Studio()
    found, ids = studio.collections.named(Viewer(), name), studio.feedback.named(pictures)
    for image in ids:
        found = studio.collections.put(Viewer(), found.id, image, included)
    verb, preposition = ("Added", "to") if included else ("Removed", "from")
    count = f"{found.pictures} image{'s' * (found.pictures != 1)}"
    print_line(f"{verb} {list_images(ids)} {preposition} the collection {found.name!r}, which has {count}.")

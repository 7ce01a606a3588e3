"""Commands about keys to the service."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from limner.core.accounts import Limits, Role

app = App(name="keys")


@app.command
def add(
    account: Annotated[str, Parameter(help="Name of the account; made where there is none.")],
    *,
    role: Annotated[
        Role | None, Parameter(help="viewer, maker or admin: of a new account (default: maker).", show_default=False)
    ] = None,
    days: Annotated[int | None, Parameter(help="How long the key is good (default: for ever).")] = None,
    per_minute: Annotated[int | None, Parameter(help="The most calls a minute (default: any).")] = None,
    pictures_per_day: Annotated[int | None, Parameter(help="The most pictures in 24 hours (default: any).")] = None,
    kept_bytes: Annotated[int | None, Parameter(help="The most bytes kept for its account (default: any).")] = None,
) -> None:
    """Make a key, and tell it: it is kept by its hash only, so this is the only time."""
    from limner.studio.studio import Studio

    limits = Limits(per_minute=per_minute, pictures_per_day=pictures_per_day, kept_bytes=kept_bytes)
    _, secret = Studio().accounts.add_key(account, role, limits, days)
    print(secret)


@app.default
def list_keys() -> None:
    """List the keys, with what they may do."""
    from limner.cli.terminal import print_keys
    from limner.studio.studio import Studio

    print_keys(Studio().accounts.list())


@app.command
def revoke(key: Annotated[str, Parameter(help="Id of the key, as `limner keys` lists it.")]) -> None:
    """Let a key open nothing any more."""
    from limner.studio.studio import Studio

    print(f"{Studio().accounts.revoke(key).id} opens nothing any more")


@app.command
def role(
    account: Annotated[str, Parameter(help="Name of the account.")],
    role: Annotated[Role, Parameter(help="viewer, maker or admin.")],
) -> None:
    """Give an account another role."""
    from limner.studio.studio import Studio

    Studio().accounts.change_role(account, role)

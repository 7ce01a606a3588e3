"""Settings of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from limner.core.logs import LogFormat
from limner.core.requests import Frozen, Heading

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(Frozen):
    """Serve the studio over HTTP on this machine and start its workers; `limner worker` starts more workers."""

    host: Annotated[str, Heading.BASICS] = Field(default="127.0.0.1", description="Address to listen on.")
    port: Annotated[int | None, Heading.BASICS] = Field(
        default=None, ge=0, le=65535, description="Port to listen on (default: the first free one from 7412 on)."
    )
    workers: Annotated[int, Heading.BASICS] = Field(
        default=1, ge=0, le=64, description="Worker processes to start; with any, one more checks datasets only."
    )
    together: Annotated[int, Heading.EXECUTION] = Field(
        default=8,
        ge=1,
        le=256,
        description="Maximum number of images of different requests that a worker generates in one batch.",
    )
    names: Annotated[tuple[str, ...], Heading.NETWORK] = Field(
        default=(),
        description="Host name under which callers reach this server, such as limner.example.com; may be repeated.",
    )
    root_path: Annotated[str, Heading.NETWORK] = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Path below which a reverse proxy serves this server, such as /limner. The proxy must remove it "
        "from the path of requests.",
    )
    accounts: Annotated[bool, Heading.BASICS] = Field(
        default=False,
        description="Require a key for every call (limner keys add); always on if other machines can reach the "
        "service.",
    )
    run_seconds: Annotated[float | None, Heading.LIMITS] = Field(
        default=None, gt=0, description="Maximum duration of a run, in seconds (default: no limit)."
    )
    pixels: int = Field(default=2048 * 2048, ge=64, description="Maximum number of pixels of one image.")
    profile: Annotated[Path | None, Heading.BASICS] = Field(
        default=None, description="YAML file of industries and styles for /generate-image."
    )
    log: Annotated[LogFormat, Heading.EXECUTION] = Field(
        default="text", description="Log format: text, or json with a line for each call and run."
    )
    policy: Annotated[Path | None, Heading.BASICS] = Field(
        default=None, description="YAML file of the moderation checks for prompts and images; see docs/moderation.md."
    )
    upload_bytes: Annotated[int, Heading.LIMITS] = Field(
        default=64 * 2**20, ge=1, description="Maximum size of an upload, in bytes."
    )
    unpacked_bytes: int = Field(default=512 * 2**20, ge=1, description="Maximum size of an unpacked zip, in bytes.")
    connections: int = Field(default=1000, ge=1, le=100_000, description="Maximum number of open connections.")
    connections_each: int = Field(
        default=250,
        ge=0,
        le=100_000,
        description="Maximum number of open connections from one address; 0 for no limit, as behind a reverse proxy.",
    )
    header_seconds: float = Field(
        default=20.0, gt=0, le=3600, description="Maximum time for the headers of a request to arrive, in seconds."
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Maximum wait for the next part of a request body, or for the client to read a part of a "
        "response, in seconds.",
    )
    wait_seconds: float = Field(
        default=600.0, gt=0, description="Maximum time that a call waits for its result, in seconds."
    )
    presign: Annotated[bool, Heading.STORAGE] = Field(
        default=False,
        description="Redirect downloads to the file storage, by a URL signed for an hour, if the storage can sign.",
    )
    retention_days: float | None = Field(
        default=None, gt=0, le=36500, description="Erase runs and uploads older than this many days (default: never)."
    )
    share: Annotated[bool, Heading.BASICS] = Field(
        default=False, description="Get a public address from an installed tunnel program."
    )
    share_by: Annotated[str | None, Heading.NETWORK] = Field(
        default=None, description="Tunnel program: cloudflared, ngrok, tailscale or ssh (default: the first installed)."
    )
    share_host: str | None = Field(
        default=None, pattern=r"^[\w.@][\w.@-]*$", description="Host for sharing by ssh, as USER@HOST."
    )

    @property
    def needs_keys(self) -> bool:
        """Whether calls need a key: always if others than this machine's user can reach the server."""
        return self.accounts or self.share or self.host not in LOOPBACK

    @property
    def connections_per_client(self) -> int:
        """Most connections from one address, 0 for no limit: with a tunnel, all come from the tunnel's address."""
        return 0 if self.share else self.connections_each

    @property
    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that clients may use for the server."""
        return (*LOOPBACK, "[::1]", self.host, *self.names)

"""How a service is set up."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from limner.core.logs import LogFormat
from limner.core.requests import Frozen

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(Frozen):
    """Serve the studio over HTTP on this machine, with workers of its own; more may join by `limner worker`."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int | None = Field(
        default=None, ge=0, le=65535, description="Port to listen on (default: 7412, or the next one that is free)."
    )
    workers: int = Field(default=1, ge=0, le=64, description="Worker processes to start.")
    together: int = Field(
        default=8, ge=1, le=256, description="The most pictures of different requests that a worker paints at once."
    )
    names: tuple[str, ...] = Field(
        default=(), description="Name that others reach this service by, such as limner.example.com; may be repeated."
    )
    accounts: bool = Field(
        default=False, description="Ask every call for a key (limner keys add); always so beyond this machine."
    )
    run_seconds: float | None = Field(
        default=None, gt=0, description="How long a run may be carried out (default: as long as it takes)."
    )
    pixels: int = Field(default=2048 * 2048, ge=64, description="The most pixels that a call's pictures may have.")
    profile: Path | None = Field(default=None, description="YAML file of industries and styles for /generate-image.")
    log: LogFormat = Field(default="text", description="How to log: text, or json, a line for each call and run.")
    policy: Path | None = Field(
        default=None, description="YAML file of the checks that prompts and pictures must pass; see docs/moderation.md."
    )
    upload_bytes: int = Field(default=64 * 2**20, ge=1, description="The largest upload, in bytes.")
    unpacked_bytes: int = Field(default=512 * 2**20, ge=1, description="The most that a zip may unpack to, in bytes.")
    connections: int = Field(default=1000, ge=1, le=100_000, description="The most connections that are open at once.")
    connections_each: int = Field(
        default=250,
        ge=0,
        le=100_000,
        description="The most connections from one address; 0 for any number, as behind a reverse proxy.",
    )
    header_seconds: float = Field(
        default=20.0, gt=0, le=3600, description="How long the headers of a request may take to arrive."
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="How long the next bytes of a request may take to arrive, or of an answer to be read.",
    )
    wait_seconds: float = Field(default=600.0, gt=0, description="How long a request may wait for its result.")
    presign: bool = Field(
        default=False,
        description="Send those who fetch a file to the store itself, by a URL signed for an hour, where it can sign.",
    )
    retention_days: float | None = Field(
        default=None, gt=0, le=36500, description="Erase runs and uploads that are older (default: keep them)."
    )
    share: bool = Field(default=False, description="Get a public address by a tunnel program that is installed.")
    share_by: str | None = Field(
        default=None, description="cloudflared, ngrok, tailscale or ssh (default: the first that is installed)."
    )
    share_host: str | None = Field(
        default=None, pattern=r"^[\w.@][\w.@-]*$", description="Host of yours through which ssh shares, as USER@HOST."
    )

    @property
    def asks_for_keys(self) -> bool:
        """Whether a call needs a key: always, where others than this machine's user can reach the service."""
        return self.accounts or self.share or self.host not in LOOPBACK

    @property
    def each_client(self) -> int:
        """The most connections from one address, 0 for any number: all come from the tunnel's, where there is one."""
        return 0 if self.share else self.connections_each

    @property
    def host_names(self) -> tuple[str, ...]:
        """By what names and addresses the service may be called."""
        return (*LOOPBACK, "[::1]", self.host, *self.names)

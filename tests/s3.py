"""An S3 server for the tests: OpenStack Swift with its S3 API, all parts of it in one process."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY

import pytest

KEY, SECRET = "shop:limner", "a-secret-of-the-tests"
PARTS = ("account", "container", "object")
PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
user = {user}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_shop_limner = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
min_segment_size = 5242880
"""
PART = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
fallocate_reserve = 0
user = {user}
log_level = WARNING
[pipeline:main]
pipeline = {part}-server
[app:{part}-server]
use = egg:swift#{part}
"""
FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "copy", "slo", "dlo")


@dataclass(frozen=True)
class Server:
    """Where it listens, and the environment by which any program finds and may use it."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def server() -> Iterator[Server]:
    """A running store without buckets, with one user."""
    pytest.importorskip("swift")
    folder = Path(tempfile.mkdtemp(prefix="limner-s3-"))
    log = folder / "log"
    try:
        with log.open("wb") as output:
            command = [sys.executable, "-W", "ignore", __file__, folder]
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            until = time.monotonic() + 60
            while not (folder / "address").exists():
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.02)
            yield Server((folder / "address").read_text())
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(folder: Path) -> None:
    """Serve all parts of the store in this process, its files in a folder, until it is killed."""
    from swift.common.utils import eventlet_monkey_patch

    eventlet_monkey_patch()
    import eventlet.wsgi
    from swift.common import wsgi
    from swift.common.ring import RingBuilder

    (folder / "disks" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    values = {"folder": folder, "user": getpass.getuser(), "secret": SECRET}
    sockets = {part: eventlet.listen(("127.0.0.1", 0)) for part in (*PARTS, "proxy")}
    for part, socket in sockets.items():
        socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        port = socket.getsockname()[1]
        if part == "proxy":
            filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in FILTERS)
            (folder / "proxy.conf").write_text(PROXY.format(port=port, **values) + filters)
            continue
        (folder / f"{part}.conf").write_text(PART.format(part=part, port=port, **values))
        ring = RingBuilder(4, 1, 0)  # one device holds everything, once
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": port, "device": "d1"})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{part}.ring.gz"))
    eventlet.hubs.use_hub(wsgi.get_hub())
    serving = []
    for part, socket in sockets.items():
        app, *_ = wsgi.init_request_processor(str(folder / f"{part}.conf"), f"{part}-server")
        options = {"protocol": wsgi.SwiftHttpProtocol, "capitalize_response_headers": False}
        serving.append(eventlet.spawn(eventlet.wsgi.server, socket, app, wsgi.NullLogger(), **options))
    address = "http://{}:{}".format(*sockets["proxy"].getsockname())
    (folder / "address.new").write_text(address)
    (folder / "address.new").rename(folder / "address")
    for each in serving:
        each.wait()


def fresh() -> str:
    """The URL of an empty place in a bucket of the server that the environment names."""
    import s3fs

    forget()
    store = s3fs.S3FileSystem()
    if not store.exists("limner"):
        store.mkdir("limner")
    return f"s3://limner/{time.monotonic_ns()}"


def forget() -> None:
    """Let go of the connections that were made in another environment."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

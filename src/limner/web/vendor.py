"""`python -m limner.web.vendor htmx.org 4.0.2`: bring the vendored files of an npm package to another version.

Needs npm. Which files are taken stands in static/vendor/manifest.json.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from limner.web.assets import STATIC

VENDOR = STATIC / "vendor"
MANIFEST = "manifest.json"


def main() -> None:
    """Parse the command line and update the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="name of the npm package, as in the manifest")
    parser.add_argument("version", help="exact version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        update(VENDOR, options.name, options.version, pack(options.name, options.version, Path(folder)))


def pack(name: str, version: str, folder: Path) -> Path:
    """Download the archive of a package by npm, which checks its hash; returns its path."""
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("npm is not installed; install Node.js to update vendored files")
    except subprocess.CalledProcessError:
        sys.exit(f"npm could not download {name}@{version}; check name, version and network")
    return folder / done.stdout.strip().splitlines()[-1]


def update(vendor: Path, name: str, version: str, archive: Path) -> None:
    """Replace the files of a package by those of an archive, and write version and hashes into the manifest."""
    manifest = json.loads((vendor / MANIFEST).read_text(encoding="utf-8"))
    package = next((each for each in manifest["packages"] if each["name"] == name), None)
    if package is None:
        sys.exit(f"the manifest has no package {name!r}; add it with the files that are wanted")
    package |= {"version": version, "integrity": digest("sha512", archive.read_bytes())}
    files = {each: content_of(archive, facts["from"]) for each, facts in package["files"].items()}
    for each, content in files.items():
        package["files"][each]["hash"] = digest("sha256", content)
        _replace(vendor / each, content)
    _replace(vendor / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def content_of(archive: Path, name: str) -> bytes:
    """The bytes of a file of a package's archive."""
    with tarfile.open(archive) as packed:
        try:
            member: Any = packed.extractfile(f"package/{name}")
        except KeyError:
            sys.exit(f"the package has no file {name!r}; correct the manifest")
        return member.read()


def digest(algorithm: str, content: bytes) -> str:
    """A hash in the form of Subresource Integrity, such as "sha256-...="."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


if __name__ == "__main__":
    main()

"""A hub of models on this machine that speaks as much of the Hugging Face hub's protocol as fetching needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_api

COMMIT = "c" * 40


class Hub:
    """Repositories by id -> folders. `gated` ones are refused without a token, `asked` lists what was fetched."""

    def __init__(self, repositories: dict[str, Path], gated: tuple[str, ...] = ()) -> None:
        self.repositories, self.gated, self.asked = repositories, gated, []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(hub):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self._answer(body=False)

            def do_GET(self):
                self._answer(body=True)

            def _answer(self, body: bool) -> None:
                path = self.path.split("?")[0].strip("/").split("/")
                if path[:2] == ["api", "models"]:
                    return self._facts("/".join(path[2:4]), path[4:])
                return self._file("/".join(path[:2]), "/".join(path[4:]), body)

            def _refused(self, repository: str) -> bool:
                if repository not in hub.repositories:
                    self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                elif repository in hub.gated and self.headers.get("Authorization") != "Bearer hf_good":
                    self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
                else:
                    return False
                return True

            def _facts(self, repository: str, rest: list[str]) -> None:
                if self._refused(repository):
                    return
                folder = hub.repositories[repository]
                names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
                if rest[:1] == ["tree"]:
                    files = [
                        {"type": "file", "path": n, "oid": "0" * 40, "size": (folder / n).stat().st_size} for n in names
                    ]
                    self._send(200, json.dumps(files).encode())
                    return
                told = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                self._send(200, json.dumps(told).encode())

            def _file(self, repository: str, name: str, body: bool) -> None:
                file = hub.repositories.get(repository, Path("/nowhere")) / name
                if self._refused(repository):
                    return
                if not file.is_file():
                    self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                    return
                data = file.read_bytes()
                if body:
                    hub.asked.append(name)
                headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
                self._send(200, data if body else b"", headers | {"Content-Length": str(len(data))})

            def _send(self, code: int, data: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(code)
                for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *told) -> None:
                """No words on the terminal."""

        return Handler


@contextmanager
def reached(url: str, cache: Path, offline: bool = False) -> Iterator[None]:
    """Have the hub's library, which reads its environment once, ask a hub and keep what it fetches in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
        patch.setattr(constants, "HF_HUB_OFFLINE", offline)
        patch.setattr(hf_api.api, "endpoint", url)
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        yield

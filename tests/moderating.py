"""A moderation service for tests, whose responses the test defines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@contextmanager
def answering(answer: Callable[[Any], Any]) -> Iterator[str]:
    """Run a service that responds with `answer(input)`: JSON, or bytes as they are. Yields its URL."""

    def raw(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        response = answer(request["input"])
        body = response if isinstance(response, bytes) else json.dumps(response).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(raw) as url:
        yield url


@contextmanager
def serving(reply: Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]) -> Iterator[str]:
    """Run a service whose responses `reply` writes itself. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                reply(self, body)
            except OSError:  # the client disconnected
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/moderations"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

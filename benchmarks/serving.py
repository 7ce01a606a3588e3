"""Requests per second and latency of `limner serve`, and of one stock pipeline behind FastAPI (`stock_server.py`).

    python benchmarks/serving.py --json serving.json

Both generate from the same prompts and seeds with the same steps, guidance scale and processor threads, in one process
each. A request is for one image and ends when its bytes have arrived (with Limner that takes two calls). Rounds
alternate. Limner stores each image, its request, label and events; the stock server stores nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from figures import machine, print_table, write_json
from limner.models import loading
from service import service

Ask = Callable[[int], None]
HERE = Path(__file__).parent
PROMPTS = ("a cat in the park", "a red mug on the beach", "a watercolour painting of a dog", "a fox in a forest")
OURS, STOCK = "limner", "stock"


def post(url: str, body: dict[str, Any], **headers: str) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read()


def request_fields(options: argparse.Namespace, number: int) -> dict[str, Any]:
    sampling = loading.resolve("starter").sampling | {"steps": options.steps}
    return {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, **sampling}


@contextmanager
def limner(options: argparse.Namespace, home: Path) -> Iterator[Ask]:
    threads = str(options.threads)
    with service(home, "--together", str(options.together), OMP_NUM_THREADS=threads) as address:

        def ask(number: int) -> None:
            body = {"kind": "generate", "batch": options.together, **request_fields(options, number)}
            run = json.loads(post(f"{address}/v1/runs", body, Prefer="wait"))
            assert run["status"] == "done", run
            with urllib.request.urlopen(address + run["artifacts"][0]["url"], timeout=60) as picture:
                assert picture.read().startswith(b"\x89PNG")

        yield ask


@contextmanager
def stock(options: argparse.Namespace) -> Iterator[Ask]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(options.threads)
    own = {"MODEL": loading.resolve("starter").location, "THREADS": threads, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "uvicorn", "stock_server:app", "--app-dir", str(HERE), "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], env=os.environ | own)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)

        def ask(number: int) -> None:
            assert post(f"http://127.0.0.1:{port}/paint", request_fields(options, number)).startswith(b"\x89PNG")

        yield ask
    finally:
        process.terminate()
        process.wait()


def load(ask: Ask, clients: int, requests: int) -> dict[str, Any]:
    """Send `requests` requests from `clients` clients; each sends its next one when it has its response."""

    def timed(number: int) -> float:
        began = time.perf_counter()
        ask(number)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        seconds = list(threads.map(timed, range(requests)))
    return {"seconds": time.perf_counter() - began, "latencies": seconds}


def figures(rounds: list[dict[str, Any]]) -> dict[str, float]:
    seconds = sorted(value for each in rounds for value in each["latencies"])
    cuts = quantiles(seconds, n=20, method="inclusive")
    return {
        "requests_per_second": len(seconds) / sum(each["seconds"] for each in rounds),
        "p50": cuts[9],
        "p95": cuts[18],
    }


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=(1, 8, 32))
    parser.add_argument("--requests", type=int, default=32, help="requests per round, at least one for each client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--together", type=int, default=8, help="images that Limner generates in one batch")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process that generates")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home, limner(chosen, Path(home)) as ours, stock(chosen) as theirs:
        asks = {STOCK: theirs, OURS: ours}
        for ask in asks.values():  # what is loaded and allocated first
            load(ask, 8, 8)
        rows = []
        for clients in chosen.clients:
            rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in asks}
            for _ in range(chosen.rounds):
                for name, ask in asks.items():
                    rounds[name].append(load(ask, clients, max(clients, chosen.requests)))
            results[str(clients)] = told_of = {name: figures(each) for name, each in rounds.items()}
            for name, each in told_of.items():
                rate = each["requests_per_second"]
                ratio = rate / told_of[STOCK]["requests_per_second"]
                rows.append(
                    [str(clients), name, *(f"{value:.2f}" for value in (rate, each["p50"], each["p95"], ratio))]
                )
            print(f"done: {clients} clients", file=sys.stderr)
    print_table(["clients", "", "requests/s", "p50 s", "p95 s", "rate as a multiple of stock"], rows)
    settings = {name: str(value) for name, value in vars(chosen).items() if name != "json"}
    write_json(chosen.json, {"machine": machine(), "settings": settings, "results": results})


if __name__ == "__main__":
    main()

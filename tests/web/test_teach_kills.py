"""The page Teach under uploads, crops and changes of captions, while its server is killed at random moments."""

from __future__ import annotations

import hashlib
import io
import random
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from PIL import Image
from test_teach_images import photo
from test_teach_losses import Killed

from limner.studio.studio import Studio

ROUNDS = 4
"""Kills; each takes some seconds."""


@dataclass
class Known:
    """What was sent of an image and what was acknowledged: versions of its caption, and of its crop, from 0."""

    sent: dict[str, int] = field(default_factory=lambda: {"caption": 0, "crop": 0})
    acknowledged: dict[str, int] = field(default_factory=lambda: {"caption": 0, "crop": 0})


class Writer:
    """Sends images, captions, crops and changes of all captions, and records what was acknowledged."""

    def __init__(self, server: Killed, seed: int) -> None:
        self.server, self.chance = server, random.Random(seed)
        self.images: dict[str, Known] = {}
        self.number = self.bulk = self.bulk_sent = 0
        self.at, self.other = (self.begin() for _ in range(2))
        for number in range(20):
            self.post(f"{self.other}/images", photo(1000 + number), X_File_Name=f"{number}.png")
        self.post(f"{self.other}/captions", {"before": "v0."})

    def begin(self) -> str:
        found = re.search(r"/teach/[a-z0-9]{12}", self.server.post("/teach", {}).body.decode())
        assert found
        return found[0]

    def post(self, path: str, form: dict | bytes, **headers: str) -> None:
        answer = self.server.post(path, form, **headers)
        assert answer.status == 200, answer.body

    def write(self) -> None:
        """Write until the server is gone."""
        with suppress(OSError):
            while True:
                if len(self.images) < 3:
                    self.add()
                self.chance.choice((self.add, self.caption, self.caption, self.crop, self.change_all))()

    def add(self) -> None:
        self.number += 1
        data = photo(self.number)
        name, parts = f"{self.number}.png", f"{self.at}/images/parts/{self.number:032x}"
        if self.chance.random() < 0.5:
            self.post(f"{self.at}/images", data, X_File_Name=name)
        else:
            half = self.chance.randrange(1, len(data))
            self.server.post(f"{parts}?at=0&total={len(data)}", data[:half], X_File_Name=name)
            self.post(f"{parts}?at={half}&total={len(data)}", data[half:], X_File_Name=name)
        self.images[hashlib.sha256(data).hexdigest()] = Known()

    def changed(self, what: str, path: str, form) -> None:
        sha256 = self.chance.choice(list(self.images))
        known = self.images[sha256]
        version = known.sent[what] = known.sent[what] + 1
        self.post(f"{self.at}/images/{sha256}{path}", form(version))
        known.acknowledged[what] = version

    def caption(self) -> None:
        self.changed("caption", "", lambda version: {"caption": f"caption {version}", "was": "", "mine": "true"})

    def crop(self) -> None:
        self.changed("crop", "/crop", lambda version: {"left": version % 60, "top": 0, "width": 80, "height": 80})

    def change_all(self) -> None:
        self.bulk_sent = self.bulk + 1
        self.post(f"{self.other}/captions", {"find": f"v{self.bulk}.", "replace": f"v{self.bulk_sent}."})
        self.bulk = self.bulk_sent

    def check(self, studio: Studio) -> None:
        """Fail if something that was acknowledged is lost, or anything is half-written; take over what was done."""
        draft, other = (studio.drafts.get("", at[-12:]) for at in (self.at, self.other))
        found = {image.sha256: image for image in draft.images}
        assert not set(self.images) - set(found), "images are lost"
        for sha256, image in found.items():
            data = studio.files.read(sha256, 0, studio.files.size(sha256))
            assert hashlib.sha256(data).hexdigest() == sha256
            for copy in (data, studio.drafts.thumbnail(draft, sha256).read_bytes()):
                with Image.open(io.BytesIO(copy)) as opened:
                    opened.load()
            known = self.images.setdefault(sha256, Known())
            caption = int(image.caption.removeprefix("caption ") or 0)
            assert known.acknowledged["caption"] <= caption <= known.sent["caption"]
            known.sent["caption"] = known.acknowledged["caption"] = caption
            if image.crop is not None:
                possible = range(known.acknowledged["crop"], known.sent["crop"] + 1)
                (crop,) = (version for version in possible if version % 60 == image.crop[0])
                assert image.crop == (crop % 60, 0, crop % 60 + 80, 80)
                known.sent["crop"] = known.acknowledged["crop"] = crop
            else:
                assert not known.acknowledged["crop"]
        (text,) = {image.caption for image in other.images}
        assert len(other.images) == 20 and self.bulk <= int(text[1:-1]) <= self.bulk_sent, "all captions or none"
        self.bulk = int(text[1:-1])


@pytest.mark.slow
def test_a_server_that_is_killed_at_random_moments_loses_nothing_that_it_acknowledged(home):
    server = Killed(home)
    studio = Studio(home)
    chance = random.Random(11)
    try:
        writer = Writer(server, 12)
        for _ in range(ROUNDS):
            thread = threading.Thread(target=writer.write)
            thread.start()
            thread.join(0.3 + 3 * chance.random())
            assert thread.is_alive(), "the writer was refused"
            server.kill()
            thread.join(60)
            writer.check(studio)
        assert len(writer.images) >= ROUNDS and writer.bulk
    finally:
        studio.close()
        server.end()

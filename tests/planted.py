"""A folder of images with every kind of fault, and what must be reported for each."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, PngImagePlugin

from limner.starter.painter import paint, random_scene

SIDE = 640
NO_TRAINING = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" '
    'plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"/></rdf:RDF></x:xmpmeta>'
)
BY_AI = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)


@dataclass(frozen=True)
class Expected:
    """kinds: faults of which one must be reported. note: a word of the note. dropped: whether it is left out."""

    kinds: tuple[str, ...] = ()
    note: str = ""
    dropped: bool = False


def picture(seed: int, side: int = SIDE) -> Image.Image:
    """A drawn image like one of a camera: large, with grain."""
    rng = random.Random(seed)
    scene = random_scene(
        rng, style="illustration", light="day", weather="clear", place=rng.choice(("city", "park", "forest"))
    )
    image = paint(scene).resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(2, 120, 0))
    grain = np.random.default_rng(seed).normal(0, 4, (side, side, 1))
    return Image.fromarray(np.clip(np.asarray(image, dtype=np.float64) + grain, 0, 255).astype(np.uint8))


def bytes_of(image: Image.Image, form: str = "JPEG", **settings: object) -> bytes:
    kept = io.BytesIO()
    if form == "JPEG":
        settings = {"quality": 94, **settings}
    image.save(kept, form, **settings)
    return kept.getvalue()


def bomb() -> bytes:
    """A PNG of some hundred bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def motion(image: Image.Image, length: int = 41) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float64)
    return Image.fromarray(
        np.mean([np.roll(pixels, shift, axis=1) for shift in range(length)], axis=0).astype(np.uint8)
    )


def written_on(image: Image.Image, text: str, size: int, opacity: int, tiled: bool = False) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(size)
    places = [(x, y) for y in range(40, SIDE, 150) for x in range(10, SIDE, 320)] if tiled else [(30, SIDE - 3 * size)]
    for place in places:
        draw.text(place, text, (255, 255, 255, opacity), font, stroke_width=2, stroke_fill=(0, 0, 0, opacity))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def letterboxed(image: Image.Image) -> Image.Image:
    framed = Image.new("RGB", image.size)
    framed.paste(image.resize((SIDE, SIDE * 2 // 3)), (0, SIDE // 6))
    return framed


def with_exif(image: Image.Image, tags: dict[int, object], gps: dict[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    if gps:
        exif.get_ifd(0x8825).update(gps)
    return bytes_of(image, exif=exif)


def plant(folder: Path, clean: int) -> dict[str, Expected]:
    """Fill a folder with clean images, clean-0.jpg and so on, and one image per fault; returns what to expect."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(clean):
        (folder / f"clean-{number}.jpg").write_bytes(bytes_of(picture(number)))
    found: dict[str, Expected] = {}
    fresh = iter(range(1000, 2000))

    def put(name: str, data: bytes, *kinds: str, note: str = "", dropped: bool = False) -> None:
        (folder / name).write_bytes(data)
        found[name] = Expected(kinds, note, dropped)

    def of(change: Callable[[Image.Image], Image.Image]) -> bytes:
        return bytes_of(change(picture(next(fresh))))

    copied = [picture(number) for number in range(8)]
    put("truncated.jpg", bytes_of(picture(next(fresh)))[:9000], "unreadable", dropped=True)
    whole = bytes_of(picture(next(fresh)))
    put("cut-and-ended.jpg", whole[: len(whole) * 3 // 5] + b"\xff\xd9", "unreadable", dropped=True)
    put(
        "hole.jpg", whole[: len(whole) // 2] + bytes(4096) + whole[len(whole) // 2 + 4096 :], "unreadable", dropped=True
    )
    put("padded.jpg", bytes_of(picture(next(fresh)))[:-2] + bytes(9) + b"\xff\xd9", "damaged")
    put("bomb.png", bomb(), "unreadable", dropped=True)
    put("renamed-text.jpg", b"These are my holiday notes.\n" * 40, "unreadable", dropped=True)
    put("page.png", b"<!doctype html><html><body>404</body></html>", "unreadable", dropped=True)
    put("zero-bytes.jpg", b"", "unreadable", dropped=True)
    put("copy-twin.jpg", bytes_of(copied[0]), "duplicate", dropped=True)
    lossless = Image.open(io.BytesIO(bytes_of(copied[1]))).convert("RGB")
    put("copy-twin-in-png.png", bytes_of(lossless, "PNG"), "duplicate", dropped=True)
    put("copy-re-encoded.jpg", bytes_of(copied[2], quality=40), "near_duplicate", dropped=True)
    put(
        "copy-flipped.jpg",
        bytes_of(copied[3].transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "near_duplicate",
        dropped=True,
    )
    put("copy-cropped.jpg", bytes_of(copied[4].crop((40, 30, 600, 590))), "near_duplicate", dropped=True)
    put("copy-turned.jpg", bytes_of(copied[7].rotate(90)), "near_duplicate", dropped=True)
    put("copy-halved.jpg", bytes_of(copied[5].resize((320, 320))), "near_duplicate", dropped=True)
    put("copy-brighter.jpg", bytes_of(ImageEnhance.Brightness(copied[6]).enhance(1.25)), "near_duplicate", dropped=True)
    put("blurred.jpg", of(lambda image: image.filter(ImageFilter.GaussianBlur(7))), "blurred")
    put("moved.jpg", of(motion), "blurred")
    put("dark.jpg", of(lambda image: ImageEnhance.Brightness(image).enhance(0.12)), "dark")
    put("bright.jpg", of(lambda image: image.point([min(255, 228 + value // 9) for value in range(256)] * 3)), "bright")
    put("pale.jpg", of(lambda image: image.point([110 + value // 10 for value in range(256)] * 3)), "pale")
    put("uniform.png", bytes_of(Image.new("RGB", (SIDE, SIDE), (90, 120, 60)), "PNG"), "flat", dropped=True)
    put("tiny.jpg", bytes_of(picture(next(fresh)).resize((60, 60))), "small", dropped=True)
    put("smallish.jpg", bytes_of(picture(next(fresh)).resize((400, 400))), "enlarged")
    put("panorama.jpg", of(lambda image: image.crop((0, 200, SIDE, 330)).resize((SIDE * 4, 520))), "odd_shape")
    put("bars.jpg", of(letterboxed), "border")
    put("text.jpg", of(lambda image: written_on(image, "SALE 50% OFF TODAY", 56, 255)), "text")
    put("watermark.jpg", of(lambda image: written_on(image, "© stock photo", 40, 130, True)), "text")
    put("turned.jpg", with_exif(picture(next(fresh)), {0x0112: 6}), note="turned")
    put("cmyk.jpg", bytes_of(picture(next(fresh)).convert("CMYK")), note="CMYK")
    deep = np.asarray(picture(next(fresh)).convert("L"), dtype=np.uint16) * 257
    put("sixteen-bits.png", bytes_of(Image.fromarray(deep), "PNG"), note="16 bits")
    clear = picture(next(fresh)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    put("transparent.png", bytes_of(clear, "PNG"), note="transparency")
    frames = [picture(next(fresh), 640).quantize(64) for _ in range(3)]
    put("animated.gif", bytes_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), "animated")
    put("jpeg-inside.png", bytes_of(picture(next(fresh))), note="JPEG")
    exif = bytes_of(picture(next(fresh)), exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    put("broken-exif.jpg", exif)
    gps = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
    put("located.jpg", with_exif(picture(next(fresh)), {0x013B: "Ada Lens"}, gps))
    put("refused.jpg", bytes_of(picture(next(fresh)), xmp=NO_TRAINING.encode()), "refused", dropped=True)
    owned = picture(next(fresh))
    put("refused-too.jpg", bytes_of(owned, xmp=NO_TRAINING.encode()), "refused", dropped=True)
    put("copy-of-refused.jpg", bytes_of(owned, quality=80), "refused", dropped=True)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", BY_AI)
    put("by-ai.png", bytes_of(picture(next(fresh)), "PNG", pnginfo=info), "synthetic")
    put("name\nwith newline.jpg", bytes_of(picture(next(fresh))))
    put("captioned.jpg", bytes_of(picture(next(fresh))), "caption")
    (folder / "captioned.txt").write_bytes(b"a caf\xe9 dog")
    (folder / "nobody.txt").write_text("a caption of no picture")
    put("masked.jpg", bytes_of(picture(next(fresh))), "mask")
    (folder / "masks").mkdir(exist_ok=True)
    Image.new("L", (30, 30), 255).save(folder / "masks" / "masked.png")
    _put_strange(folder, found)
    return found


def _put_strange(folder: Path, found: dict[str, Expected]) -> None:
    """Add links, pipes and folders, which are not regular files."""
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "around").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.jpg").symlink_to(folder / "not-there.jpg")
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "video.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    for name in ("loop.jpg", "dangling.jpg", "pipe.jpg"):
        found[name] = Expected(("unreadable", "stray"), dropped=True)
    for name in ("around", "folder.jpg", "video.mp4", "nobody.txt"):
        found[name] = Expected(("stray", "unreadable"), dropped=True)

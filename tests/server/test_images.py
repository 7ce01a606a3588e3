"""OpenAI's Python client against the real server: images, models and errors."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import yaml
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from limner.provenance.credentials import inspect_credentials
from limner.provenance.credentials.manifests import c2pa_context, read_manifest
from limner.provenance.labels import write_png
from limner.provenance.xmp import source_type
from limner.server import problems
from limner.server.error_format import ErrorFormatMiddleware, openai_error
from limner.server.images import convert_image
from serving import Service, key_of
from serving import service as running

SOURCE = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAT = "a cat in the park"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    """A server that needs keys, with two-step generation."""
    home = tmp_path_factory.mktemp("service")
    side = {"model": "starter", "steps": 2}
    profile = {
        "text": side,
        "picture": side | {"strength": 0.6},
        "industries": {"food": {}},
        "styles": {"photo": {}},
    }
    (home / "mine.yaml").write_text(yaml.safe_dump(profile))
    key_of(home, "boss", "--role", "admin")
    with running(home, profile=home / "mine.yaml", accounts=True) as found:
        yield found


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[openai.OpenAI]:
    address = service.call.address + "/v1"
    with openai.OpenAI(base_url=address, api_key=key_of(service.home, "team"), max_retries=0) as made:
        yield made


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as reply:
        return reply.read()


def opened(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


def png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG")
    return target.getvalue()


def test_images_as_urls(client: openai.OpenAI, service: Service) -> None:
    made = client.images.generate(prompt=CAT, n=2, model="dall-e-3", quality="standard", user="ann")
    assert made.data is not None and made.size == "128x128" and made.output_format == "png"
    first, second = [fetched(image.url or "") for image in made.data]
    assert first != second and opened(first).format == "PNG" and SOURCE in first
    assert all(image.b64_json is None for image in made.data)
    listed = service.call("GET", "/v1/pictures", Authorization=f"Bearer {client.api_key}").json
    listed = [picture for picture in listed if picture["tags"] == {"user": "ann"}]
    assert len(listed) == 2
    (run,) = service.call("GET", "/v1/runs?limit=1", Authorization=f"Bearer {client.api_key}").json
    assert run["priority"] == 1, "a client waits for it"
    painted = [picture["sha256"] for picture in reversed(listed)]
    assert painted == [hashlib.sha256(body).hexdigest() for body in (first, second)], "in the order of their seeds"
    assert [picture["request"]["steps"] for picture in listed] == [2, 2]


@pytest.mark.parametrize(("form", "format"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_images_as_base64(client: openai.OpenAI, form: Any, format: str) -> None:
    made = client.images.generate(prompt=CAT, model="gpt-image-2", output_format=form, size="64x96")
    assert made.data is not None and made.output_format == form and made.size == "64x96"
    body = base64.b64decode(made.data[0].b64_json or "")
    image = opened(body)
    assert (image.format, image.size) == (format, (64, 96)) and SOURCE in body


def test_other_formats_as_urls(client: openai.OpenAI, service: Service) -> None:
    made = client.images.generate(prompt=CAT, model="starter", output_format="jpeg", output_compression=0)
    assert made.data is not None and made.data[0].url
    key = f"Bearer {client.api_key}"
    (painted,) = service.call("GET", "/v1/pictures?limit=1", Authorization=key).json
    listed = service.call("GET", f"/v1/pictures?run={painted['run']}", Authorization=key).json
    assert listed == [painted], "the copy is not listed as an image"
    image: Any = opened(fetched(made.data[0].url))
    assert image.format == "JPEG" and {*image.quantization[0]} == {255}, "quality 0 is a valid quality"


def test_edit_of_a_whole_image(client: openai.OpenAI) -> None:
    image = png(Image.new("RGB", (128, 128), "teal"))
    made = client.images.edit(image=image, prompt=CAT, response_format="b64_json")
    assert made.data is not None and len(made.data) == 1
    assert opened(base64.b64decode(made.data[0].b64_json or "")).size == (128, 128)


def test_edit_of_the_transparent_part(client: openai.OpenAI, service: Service) -> None:
    image = Image.new("RGB", (128, 128), "teal")
    mask = Image.new("RGBA", (128, 128), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (64, 0, 128, 128))
    made = client.images.edit(
        image=("a.png", png(image)), mask=("m.png", png(mask)), prompt=CAT, n=1, response_format="b64_json"
    )
    assert made.data is not None
    pixels = np.asarray(opened(base64.b64decode(made.data[0].b64_json or "")).convert("RGB"), dtype=int)
    change = np.abs(pixels - np.asarray(image, dtype=int)).mean(axis=(0, 2))
    assert change[:48].max() < 2 and change[72:].mean() > 5
    painted = service.call("GET", "/v1/pictures?limit=1", Authorization=f"Bearer {client.api_key}").json[0]
    assert painted["request"]["mask"] and painted["request"]["strength"] is None, (
        "wholly anew, whatever the profile says"
    )


def test_models(client: openai.OpenAI) -> None:
    listed = {model.id: model.owned_by for model in client.models.list()}
    assert listed["starter"] == "limner" and listed["sdxl"] == "stabilityai"
    assert client.models.retrieve("starter").object == "model"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-99")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"prompt": " "}, None, "blank"),
        ({"size": "1x1"}, "size", "is not a size"),
        ({"size": "large"}, "size", "is not a size"),
        ({"size": "100x100"}, None, "multiple"),
        ({"n": 11}, "n", "10"),
        ({"quality": "hd"}, "quality", "is not supported"),
        ({"style": "vivid"}, "style", "is not supported"),
        ({"background": "transparent"}, "background", "is not supported"),
        ({"moderation": "low"}, "moderation", "is not supported"),
        ({"output_format": "gif"}, "output_format", ""),
        ({"output_compression": 5}, None, "for jpeg and webp"),
        ({"partial_images": 2}, "partial_images", "not streamed"),
        ({"extra_body": {"colour": "red"}}, "colour", ""),
    ],
)
def test_unsupported_values_are_refused(
    client: openai.OpenAI, fields: dict[str, Any], param: Any, message: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(**({"prompt": CAT} | fields))
    error = refused.value
    assert (error.type, error.param) == ("invalid_request_error", param) and message in error.message


def test_streaming_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="use /v1/runs, which streams events"):
        client.images.generate(prompt=CAT, stream=True)


def test_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.images.generate(prompt=CAT, model="sdxxl")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


SMALL, CLEAR = (png(Image.new("RGBA", (64, 64), (0, 0, 0, alpha))) for alpha in (255, 0))


@pytest.mark.parametrize(
    ("files", "param", "message"),
    [
        ({"image": b"no picture"}, "image", "'image' holds text"),
        ({"image": [SMALL, SMALL]}, "image", "2 images"),
        ({"image": SMALL, "mask": b"no picture"}, "mask", "cannot be read as PNG"),
        ({"image": SMALL, "mask": SMALL}, "mask", "no transparent pixel"),
        ({"image": SMALL, "mask": png(Image.new("RGBA", (32, 32)))}, "mask", "32 x 32 and the image 64 x 64"),
        ({"image": SMALL, "size": "huge"}, "size", "is not a size"),
        ({"image": SMALL, "input_fidelity": "high"}, "input_fidelity", "is not supported"),
        ({"image": SMALL, "extra_body": {"markup": "x"}}, "markup", ""),
    ],
)
def test_invalid_edits(client: openai.OpenAI, files: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.edit(prompt=CAT, **files)
    assert refused.value.param == param and message in refused.value.message


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/images/generations", None, 401),
        ("GET", "/v1/models", None, 401),
        ("GET", "/v1/images/nosuch", None, 404),
        ("GET", "/v1/images/generations", None, 405),
        ("POST", "/v1/images/generations", b"{" * 9, 400),
        ("POST", "/v1/images/generations", b" " * (2**20 + 1), 413),
        ("POST", "/v1/images/edits", b"x", 400),
    ],
)
def test_errors_have_openais_format(
    service: Service, client: openai.OpenAI, method: str, path: str, body: Any, status: int
) -> None:
    key = {} if status == 401 else {"Authorization": f"Bearer {client.api_key}"}
    kind = "multipart/form-data; boundary=x" if path.endswith("edits") else "application/json"
    reply = service.call(method, path, body, Content_Type=kind, **key)
    assert reply.status == status and reply.headers["Content-Type"] == "application/json"
    assert reply.json["error"].keys() == {"message", "type", "param", "code"}
    assert int(reply.headers["Content-Length"]) == len(reply.body)


def test_server_errors_have_openais_format_on_its_paths_only() -> None:
    app = FastAPI()
    problems.install_error_handlers(app)
    app.add_middleware(ErrorFormatMiddleware)

    @app.get("/v1/images/fault")
    @app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError

    with TestClient(app, raise_server_exceptions=False) as call:
        theirs, ours = call.get("/v1/images/fault"), call.get("/fault")
    assert theirs.status_code == ours.status_code == 500
    assert theirs.json()["error"]["type"] == "server_error" and "internal error" in theirs.json()["error"]["message"]
    assert ours.headers["Content-Type"] == "application/problem+json"


def test_moderation_errors_have_openais_code() -> None:
    detail = "the prompt is refused"
    problem = {"type": problems.REFUSED, "title": "Unprocessable Entity", "status": 422, "detail": detail}
    assert openai_error(problem)[1]["error"]["code"] == "content_policy_violation"


def test_png_is_not_converted() -> None:
    assert convert_image(b"anything", "png") == b"anything"


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_other_formats_get_new_credentials(home: Path, tmp_path: Path, form: str) -> None:
    write_png(Image.new("RGB", (64, 64), "teal"), tmp_path / "a.png", home=home)
    data = convert_image((tmp_path / "a.png").read_bytes(), form, home=home)
    found = inspect_credentials(data, f"image/{form}", home)
    assert found is not None and found.problems == () and source_type(data) == "trainedAlgorithmicMedia"
    changed = bytearray(data)
    changed[data.rindex(b"\xff\xda") + 20 if form == "jpeg" else data.index(b"VP8 ") + 30] ^= 1
    worse = inspect_credentials(bytes(changed), f"image/{form}", home)
    assert worse is not None and worse.problems == ("assertion.dataHash.mismatch",)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_converted_images_keep_their_source_type(home: Path, tmp_path: Path, form: str) -> None:
    """Also of images that were generated from a photo."""
    source = "compositeWithTrainedAlgorithmicMedia"
    write_png(Image.new("RGB", (64, 64), "teal"), tmp_path / "a.png", source=source, home=home)
    manifest, _ = read_manifest(
        convert_image((tmp_path / "a.png").read_bytes(), form, home=home), f"image/{form}", c2pa_context([])
    )
    assert f'/{source}"' in json.dumps(manifest)

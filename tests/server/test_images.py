"""OpenAI's Python client against the real server: images, models and errors."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import openai
import pytest
import yaml
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from limner.core.execution import Execution
from limner.core.runs import Run
from limner.plugins.registry import aliases
from limner.provenance.credentials import inspect_credentials
from limner.provenance.credentials.manifests import c2pa_context, read_manifest
from limner.provenance.labels import write_png
from limner.provenance.xmp import source_type
from limner.server import images, problems
from limner.server.app import create_app
from limner.server.error_format import ErrorFormatMiddleware, openai_error
from limner.server.images import convert_image
from limner.server.openai_models import ImageGenerationRequest
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.studio.studio import Studio
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
    assert made.created == int(datetime.fromisoformat(run["created"]).timestamp())
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


def test_images_as_a_stream(client: openai.OpenAI) -> None:
    more: Any = {"prompt": CAT, "n": 2, "model": "gpt-image-1", "partial_images": 2, "quality": "high"}
    with client.images.generate(**more, stream=True) as stream:
        first, second = list(stream)
    for event in (first, second):
        assert (event.type, event.output_format, event.size) == ("image_generation.completed", "png", "128x128")
        assert opened(base64.b64decode(event.b64_json)).size == (128, 128)
    assert first.b64_json != second.b64_json
    assert [note.split()[0] for note in first.notes] == ["quality", "partial_images"]
    plain = client.images.generate(**more)
    assert plain.data is not None and len(plain.data) == 2 and len(plain.model_extra["notes"]) == 2  # type: ignore[index]
    with client.images.edit(image=png(Image.new("RGB", (64, 64))), prompt=CAT, stream=True) as stream:
        (edited,) = list(stream)
    assert edited.type == "image_edit.completed" and edited.model_extra["url"].startswith("http")


def test_a_stream_ends_with_the_error_of_its_run(client: openai.OpenAI) -> None:
    with (
        pytest.raises(openai.APIError, match="multiple"),
        client.images.generate(prompt=CAT, size="100x100", stream=True) as stream,
    ):
        list(stream)


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
        ({"quality": "best"}, "quality", "choose one of: auto, "),
        ({"style": "baroque"}, "style", "choose one of: vivid, natural"),
        ({"background": "transparent"}, "background", "is not supported"),
        ({"moderation": "low"}, "moderation", "is not supported"),
        ({"output_format": "gif"}, "output_format", ""),
        ({"output_compression": 5}, None, "for jpeg and webp"),
        ({"partial_images": 4}, "partial_images", "3"),
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
        ({"image": SMALL, "input_fidelity": "full"}, "input_fidelity", "choose one of: high, low"),
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


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "authentication_error", "invalid_api_key"),
        (403, "permission_error", None),
        (404, "invalid_request_error", None),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", None),
        (503, "server_error", None),
    ],
)
def test_errors_have_openais_types_and_codes(status: int, kind: str, code: str | None) -> None:
    problem = {"type": "about:blank", "title": "Title", "status": status, "detail": "why", "remedy": "what to do"}
    wanted = {"message": "why; what to do", "type": kind, "param": None, "code": code}
    assert openai_error(problem) == (status, {"error": wanted})
    del problem["detail"], problem["remedy"]
    assert openai_error(problem)[1]["error"]["message"] == "Title"


def test_an_invalid_field_is_openais_param() -> None:
    problem = {
        "type": "about:blank",
        "title": "x",
        "status": 422,
        "errors": [{"pointer": "/size/0"}, {"pointer": "/n"}],
    }
    status, body = openai_error(problem)
    assert (status, body["error"]["param"]) == (400, "size")


class Asked:
    """Calls of /v1/images whose runs are not executed."""

    def __init__(self, home: Path, **profile: Any) -> None:
        known = {"industries": {"food": {}}, "styles": {"photo": {}}} | profile
        self.studio = Studio(home)
        app = create_app(self.studio, Settings(wait_seconds=0.01, accounts=True), Profile.model_validate(known))
        key = self.studio.accounts.add_key("ann")[1]
        self.client = TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"})

    def __call__(self, route: str, **given: Any) -> Run:
        reply = self.client.post(f"/v1/images/{route}", **given)
        assert reply.status_code == 504, reply.text
        return self.studio.store.list(1)[0]


def test_the_profile_gives_what_a_call_does_not(home: Path) -> None:
    (home / "one.safetensors").write_bytes(b"x")
    text = {"steps": 3, "seed": 7, "width": 256, "height": 256, "memory": "low"}
    asked = Asked(home, text=text | {"adapter": [str(home / "one.safetensors")]})
    run = asked("generations", json={"prompt": CAT})
    request: Any = run.request
    assert (request.steps, request.seed, request.width, run.execution) == (3, 7, 256, Execution(memory="low"))
    assert len(request.adapter) == 1 and run.owner == "ann", "every caller may use the profile's files"
    request = asked("generations", json={"prompt": CAT, "size": "64x128"}).request
    assert (request.width, request.height, request.steps) == (64, 128, 3)
    request = asked("generations", json={"prompt": CAT, "model": "sdxl"}).request
    assert (request.model, request.steps, request.width) == ("sdxl", None, None), "the settings are of another model"
    assert request.seed != 7


def test_an_edit_has_its_own_settings(home: Path) -> None:
    asked = Asked(home, text={"steps": 3}, picture={"steps": 5, "strength": 0.25})
    files = {"image": ("a.png", png(Image.new("RGB", (64, 64))), "image/png")}
    request: Any = asked("edits", data={"prompt": CAT}, files=files).request
    assert (request.steps, request.strength) == (5, 0.25)
    assert [held.reference for held in asked.studio.files.grants.list("ann")] == [request.image]
    request = asked("edits", data={"prompt": CAT}, files={"image[]": files["image"]}).request
    assert request.image is not None, "the name that clients use for a list"


def test_nothing_is_stored_for_an_unknown_model(home: Path) -> None:
    asked = Asked(home)
    files = {"image": ("a.png", png(Image.new("RGB", (64, 64))), "image/png")}
    reply = asked.client.post("/v1/images/edits", data={"prompt": CAT, "model": "nosuch"}, files=files)
    assert reply.status_code == 404 and list(asked.studio.files) == []
    fields = {"prompt": CAT, **{f"x{number}": "y" for number in range(49)}}
    assert "no such field" in asked.client.post("/v1/images/edits", data=fields, files=files).text
    assert "Too many fields" in asked.client.post("/v1/images/edits", data=fields | {"z": "y"}, files=files).text


@pytest.mark.parametrize(("compression", "quality"), [(None, 95), (40, 40), (0, 0)])
@pytest.mark.parametrize("embedded", ["url", "b64_json"])
def test_images_are_converted_as_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, embedded: str, compression: int | None, quality: int
) -> None:
    asked, converted = Asked(home), list[Any]()
    run = asked("generations", json={"prompt": CAT, "n": 2})
    for name in "ab":
        (home / name).write_bytes(name.encode())
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        details = {"reference": asked.studio.files.save(home / name), "width": 96, "height": 64}
        asked.studio.store.add_artifact(run.id, "picture", f"/{name}.png", sha256, details)

    def convert(body: bytes, *given: Any) -> bytes:
        converted.append((body, *given))
        return b"as jpeg: " + body

    monkeypatch.setattr(images, "convert_image", convert)
    fields = {"prompt": CAT, "output_format": "jpeg", "output_compression": compression, "response_format": embedded}
    body = ImageGenerationRequest.model_validate(fields)
    reply = images._images_response(cast(Any, asked.client.app).state.server, "http://127.0.0.1", body, run)
    assert converted == [(name, "jpeg", quality, home) for name in (b"a", b"b")], "signed with the server's own key"
    assert (reply.output_format, reply.size, reply.created) == ("jpeg", "96x64", int(run.created.timestamp()))
    opens = TestClient(asked.client.app, base_url="http://127.0.0.1")  # without a key
    found = [
        base64.b64decode(image.b64_json) if image.b64_json else opens.get(image.url or "").content
        for image in reply.data
    ]
    assert found == [b"as jpeg: a", b"as jpeg: b"]
    assert all((image.url is None) == (embedded == "b64_json") for image in reply.data)
    assert embedded != "url" or all(
        "/v1/files/" in (image.url or "") and "signature=" in (image.url or "") for image in reply.data
    )


def test_erased_images_are_not_found(home: Path) -> None:
    asked = Asked(home)
    run, body = asked("generations", json={"prompt": CAT}), ImageGenerationRequest(prompt=CAT)
    with pytest.raises(problems.HTTPError, match="the images were erased; send the request again") as caught:
        images._images_response(cast(Any, asked.client.app).state.server, "http://here", body, run)
    assert caught.value.status == 404


def test_models_are_listed_by_name(home: Path) -> None:
    models = Asked(home).client.get("/v1/models").json()["data"]
    names = [model["id"] for model in models]
    assert names == sorted(names) and {*names} == {*aliases()}
    assert all("/" not in model["owned_by"] for model in models)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_converted_images_have_quality_95_and_the_same_xmp(home: Path, tmp_path: Path, form: Any) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    write_png(Image.fromarray(noise), tmp_path / "a.png", home=home)
    made = opened(convert_image((tmp_path / "a.png").read_bytes(), form, home=home))
    plain = io.BytesIO()
    Image.fromarray(noise).save(plain, format=form.upper(), quality=95)
    assert np.array_equal(np.asarray(made), np.asarray(opened(plain.getvalue())))
    with Image.open(tmp_path / "a.png") as image:
        assert made.info["xmp"].decode().strip("\0") == image.info["XML:com.adobe.xmp"]


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

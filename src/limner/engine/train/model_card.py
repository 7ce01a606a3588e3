"""What an adapter says of itself: the header of its file, and the model card beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from limner.core.checkpoint_scores import Standings
from limner.core.execution import split_body
from limner.core.files import short_line
from limner.core.protocols import Components, Method, Subject
from limner.core.requests import TrainRequest
from limner.core.requests.request import Trait, fields_with
from limner.core.version import version
from limner.engine.train.plan import Plan
from limner.models.loading import Model

INTRODUCTIONS = {
    "adapter": "An adapter that teaches its base model one subject.",
    "model": "A model that was taught one subject.",
}


def header(
    request: TrainRequest,
    plan: Plan,
    model: Model,
    components: Components,
    dataset: str,
    pictures: int,
    name: str,
    rights: Mapping[str, Any],
    standings: Standings | None = None,
) -> dict[str, str]:
    """safetensors metadata: our facts as JSON, the modelspec standard, and the `ss_` keys that A1111 reads.

    request: a body, with how it was executed. rights: of the pictures, as `Scan.rights` counts them.
    """
    base = {
        "reference": request.model,
        "architecture": components.architecture,
        "fingerprint": model.fingerprint(components.dtype),
        "licence": model.licence,
    }
    ours = {
        "version": version(),
        "method": request.method,
        "base": base,
        "request": request.model_dump(mode="json"),
        "digest": split_body(request)[0].digest,
        "dataset": {"sha256": dataset, "pictures": pictures, **({"rights": rights} if rights else {})},
        "trigger_words": list(request.trigger_words),
        "sampling": model.sampling,
        "licence": model.licence,
        **({} if standings is None else {"kept_step": standings.best.step}),
    }
    return {
        "limner": json.dumps(ours, sort_keys=True, ensure_ascii=False),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{components.architecture}/{request.method}",
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.trigger_phrase": request.instance_prompt,
        "modelspec.license": model.licence,
        "modelspec.resolution": f"{plan.resolution}x{plan.resolution}",
        "ss_base_model_version": components.base_version,
        "ss_output_name": name,
        "ss_sd_model_name": request.model,
        "ss_resolution": f"({plan.resolution}, {plan.resolution})",
        "ss_steps": str(plan.steps if standings is None else standings.best.step),
        "ss_seed": str(request.seed),
        "ss_num_train_images": str(pictures),
    }


def model_card(
    request: TrainRequest,
    plan: Plan,
    model: Model,
    method: Method,
    dataset: str,
    pictures: int,
    name: str,
    rights: Mapping[str, Any],
    loss: str,
    standings: Standings | None = None,
) -> str:
    """README.md in the form that the Hugging Face hub reads."""
    prior = "off"
    if plan.prior:
        prior = f"{plan.class_pictures} class pictures, weight {request.prior_weight:g}, "
        prior += "compared with what the base model predicts, " if plan.prior_target == "model" else ""
        prior += f"{plan.prior_dropout:.0%} of them shown without a caption"
    rows = {
        "Base model": f"{request.model} (licence: {model.licence})",
        "Trained by": f"Limner {version()}, method {request.method}",
        "Trigger words": ", ".join(f"`{word}`" for word in request.trigger_words) or "none: captions alone",
        "Say it as": f"`{request.instance_prompt}`",
        "Pictures": f"{pictures} (dataset SHA-256 `{dataset[:16]}`)",
        **rights_told(rights),
        "Prior preservation": prior,
        "Steps, batch, learning rate": f"{plan.steps}, {plan.batch}, {plan.learning_rate:g} ({plan.schedule})",
        "Settings": settings_of(request) or "as they are by default",
        "Resolution": f"{plan.resolution} x {plan.resolution}",
        "Final loss": loss,
        **({} if standings is None else {"Kept": told_best(standings)}),
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    front = f"---\nbase_model: {json.dumps(request.model)}\nlicense: {model.licence}\nlibrary_name: diffusers\n"
    front += f"instance_prompt: {json.dumps(request.instance_prompt)}\n"
    front += f"tags: [{request.method}, dreambooth, text-to-image, limner]\n---\n"
    imports, base = how_loaded(model)
    subject = Subject(request.identifier or "", request.class_word)
    sampling = (
        f"    num_inference_steps={model.sampling['steps']},\n    guidance_scale={model.sampling['guidance']:g},\n"
    )
    if rescale := model.sampling["guidance_rescale"]:
        sampling += f"    guidance_rescale={rescale:g},\n"
    return (
        f"{front}\n# {name}\n\n{INTRODUCTIONS[method.makes]}\n\n| | |\n|---|---|\n{table}\n\n"
        f"Pictures made with it are made by AI: label them so, and use them only as the licence of the base model and\n"
        f"the rights of whoever is in the training pictures allow.\n\n"
        f"```python\n{imports}\n\n"
        f"{method.usage(name, base, model.family.facts, subject)}\n"
        f"image = pipeline(\n    {json.dumps(request.instance_prompt)},\n{sampling}).images[0]\n```\n"
    )


def rights_told(rights: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Rows of the card about the pictures' rights: what each is called -> its values, each with its count."""
    rows = {
        title: listed(rights[name])
        for name, title in (
            ("licences", "Licences of the pictures"),
            ("authors", "Authors of the pictures"),
            ("sources", "Sources of the pictures"),
            ("consent", "Consent of the people in them"),
        )
        if name in rights
    }
    if overrides := rights.get("overrides"):
        reasons = ", ".join(cell(reason) for reason in overrides)
        rows["Marked 'no AI training' and used all the same"] = f"{sum(overrides.values())} ({reasons})"
    return rows


def listed(counts: Mapping[str, int]) -> str:
    """Values with their counts: "CC-BY-4.0 (10), unknown (2)"."""
    return ", ".join(f"{cell(value)} ({count})" for value, count in counts.items())


def cell(text: str) -> str:
    """A text of unknown origin for a cell of a Markdown table, where it stands for itself alone."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~$&])", r"\\\1", short_line(text, 300))


def told_best(standings: Standings) -> str:
    """Which checkpoint was kept and why, in one line."""
    best, count = standings.best, len(standings.after)
    return (
        f"step {best.step} of {standings.after[-1].step}, the best of {count} checkpoints: "
        f"{standings.likeness(best):.0%} of the way to the photographs' likeness, "
        f"prompts followed {standings.obedience(best):.0%} as well as before (encoder of {standings.encoder})"
    )


def settings_of(request: TrainRequest) -> str:
    """What was chosen of the optimiser and of the method's options, in words."""
    chosen: dict[str, object] = dict(request.options)
    names = fields_with(TrainRequest, Trait.ON_CARD)
    plain = TrainRequest.model_fields
    chosen |= {name: value for name in names if (value := getattr(request, name)) != plain[name].default}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


def how_loaded(model: Model) -> tuple[str, str]:
    """Python that loads a base model with stock diffusers: the imports, and the expression for its pipeline."""
    if Path(model.location).is_relative_to(str(files("limner"))):
        imports = "from importlib.resources import files\n\nfrom diffusers import DiffusionPipeline"
        return imports, 'DiffusionPipeline.from_pretrained(files("limner.starter") / "weights")'
    names, vae = [], ""
    if model.vae is not None:
        names, vae = ["AutoencoderKL"], f", vae=AutoencoderKL.from_pretrained({json.dumps(model.vae)})"
    place = Path(model.location).name if Path(model.location).exists() else model.location
    if place.endswith(".safetensors"):
        kind, way = model.family.facts.pipelines[0], "from_single_file"
        if place == model.location:  # on the hub
            owner, repository, file = place.split("/", 2)
            place = f"https://huggingface.co/{owner}/{repository}/blob/main/{file}"
    else:
        kind, way = "DiffusionPipeline", "from_pretrained"
    return f"from diffusers import {', '.join([*names, kind])}", f"{kind}.{way}({json.dumps(place)}{vae})"

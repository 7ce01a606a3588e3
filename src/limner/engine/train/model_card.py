"""The header of an adapter's file, and the model card beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from limner.core.checkpoint_scores import CheckpointScores
from limner.core.execution import split_body
from limner.core.files import short_line
from limner.core.protocols import Components, Method, SubjectWords
from limner.core.requests import TrainRequest
from limner.core.requests.request import Trait, fields_with
from limner.core.version import version
from limner.data.sets.folder import Scan
from limner.engine.train.plan import TrainPlan
from limner.models.loading import Model

INTRODUCTIONS = {
    "adapter": "An adapter that adds one subject to its base model.",
    "model": "A model that was fine-tuned on one subject.",
}


@dataclass(frozen=True)
class Trained:
    """A finished training run, as its header and card describe it.

    request: the body of the request and its execution, with files as the user names them. name: of the result's
    folder. scores: where the best checkpoint was kept.
    """

    request: TrainRequest
    plan: TrainPlan
    model: Model
    dataset: Scan
    name: str
    scores: CheckpointScores | None = None


def header(trained: Trained, components: Components, step: int | None = None) -> dict[str, str]:
    """safetensors metadata: our facts as JSON, the modelspec standard, and the `ss_` keys that A1111 reads.

    step: of the checkpoint whose header it is; None for the result.
    """
    request, plan, model, dataset = trained.request, trained.plan, trained.model, trained.dataset
    best = None if trained.scores is None else trained.scores.best.step
    kept_step = best if step is None else step
    name = trained.name if step is None else f"{trained.name}-{step}"
    base = {
        "reference": request.model,
        "architecture": components.architecture,
        "fingerprint": model.fingerprint(components.dtype),
        "licence": model.licence,
    }
    rights = {"rights": dataset.rights} if dataset.rights else {}
    ours = {
        "version": version(),
        "method": request.method,
        "base": base,
        "request": request.model_dump(mode="json"),
        "digest": split_body(request)[0].digest,
        "dataset": {"sha256": dataset.digest, "pictures": len(dataset.images), **rights},
        "trigger_words": list(request.trigger_words),
        "sampling": model.sampling,
        "licence": model.licence,
        **({} if kept_step is None else {"kept_step": kept_step}),
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
        "ss_steps": str(plan.steps if kept_step is None else kept_step),
        "ss_seed": str(request.seed),
        "ss_num_train_images": str(len(dataset.images)),
    }


def model_card(trained: Trained, method: Method, loss: float) -> str:
    """README.md in the form that the Hugging Face hub reads."""
    request, model, name = trained.request, trained.model, trained.name
    table = "\n".join(f"| {key} | {value} |" for key, value in table_of(trained, loss).items())
    front = f"---\nbase_model: {json.dumps(request.model)}\nlicense: {model.licence}\nlibrary_name: diffusers\n"
    front += f"instance_prompt: {json.dumps(request.instance_prompt)}\n"
    front += f"tags: [{request.method}, dreambooth, text-to-image, limner]\n---\n"
    imports, base = how_loaded(model)
    subject = SubjectWords(request.identifier or "", request.class_word)
    sampling = (
        f"    num_inference_steps={model.sampling['steps']},\n    guidance_scale={model.sampling['guidance']:g},\n"
    )
    if rescale := model.sampling["guidance_rescale"]:
        sampling += f"    guidance_rescale={rescale:g},\n"
    return (
        f"{front}\n# {name}\n\n{INTRODUCTIONS[method.makes]}\n\n| | |\n|---|---|\n{table}\n\n"
        f"Images made with it are made by AI. Label them as such, and use them only as the licence of the base model\n"
        f"and the rights of the people in the training images allow.\n\n"
        f"```python\n{imports}\n\n"
        f"{method.usage(name, base, model.family.facts, subject)}\n"
        f"image = pipeline(\n    {json.dumps(request.instance_prompt)},\n{sampling}).images[0]\n```\n"
    )


def table_of(trained: Trained, loss: float) -> dict[str, str]:
    """Rows of the card's table."""
    request, plan, model, dataset = trained.request, trained.plan, trained.model, trained.dataset
    prior = "off"
    if plan.prior:
        prior = f"{plan.class_pictures} class images, weight {request.prior_weight:g}, "
        prior += "compared with the base model's prediction, " if plan.prior_target == "model" else ""
        prior += f"{plan.prior_dropout:.0%} of them without a caption"
    return {
        "Base model": f"{request.model} (licence: {model.licence})",
        "Trained by": f"Limner {version()}, method {request.method}",
        "Trigger words": ", ".join(f"`{word}`" for word in request.trigger_words) or "none: captions alone",
        "Prompt": f"`{request.instance_prompt}`",
        "Images": f"{len(dataset.images)} (dataset SHA-256 `{dataset.digest[:16]}`)",
        **rights_table(dataset.rights),
        "Prior preservation": prior,
        "Steps, batch, learning rate": f"{plan.steps}, {plan.batch}, {plan.learning_rate:g} ({plan.schedule})",
        "Settings": settings_of(request) or "defaults",
        "Resolution": f"{plan.resolution} x {plan.resolution}",
        "Final loss": f"{loss:.4f}",
        **({} if trained.scores is None else {"Kept": best_summary(trained.scores)}),
    }


def rights_table(rights: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Rows of the card about the images' rights: title -> values, each with its count."""
    rows = {
        title: listed(rights[name])
        for name, title in (
            ("licences", "Licences of the images"),
            ("authors", "Authors of the images"),
            ("sources", "Sources of the images"),
            ("consent", "Consent of the people in them"),
        )
        if name in rights
    }
    if overrides := rights.get("overrides"):
        reasons = ", ".join(cell(reason) for reason in overrides)
        rows["Marked 'no AI training', used nevertheless"] = f"{sum(overrides.values())} ({reasons})"
    return rows


def listed(counts: Mapping[str, int]) -> str:
    """Values with their counts: "CC-BY-4.0 (10), unknown (2)"."""
    return ", ".join(f"{cell(value)} ({count})" for value, count in counts.items())


def cell(text: str) -> str:
    """A text of unknown origin, escaped for a cell of a Markdown table."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~$&])", r"\\\1", short_line(text, 300))


def best_summary(scores: CheckpointScores) -> str:
    """Which checkpoint was kept and why, in one line."""
    best, count = scores.best, len(scores.after)
    return (
        f"step {best.step} of {scores.after[-1].step}, the best of {count} checkpoints: "
        f"subject fidelity {scores.scaled_subject(best):.0%} (0%: base model, 100%: training images to each other), "
        f"prompt fidelity {scores.scaled_prompt(best):.0%} (100%: base model), by the encoder of {scores.encoder}"
    )


def settings_of(request: TrainRequest) -> str:
    """The method's options, and what differs from the defaults of the other settings."""
    chosen: dict[str, object] = dict(request.options)
    plain = TrainRequest.model_fields
    chosen |= {
        name: value
        for name in fields_with(TrainRequest, Trait.ON_CARD)
        if (value := getattr(request, name)) != plain[name].default
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


def how_loaded(model: Model) -> tuple[str, str]:
    """Python code that loads a base model with stock diffusers: the imports, and an expression for its pipeline."""
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

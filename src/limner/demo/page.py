"""The demo's web page: pictures, what was done, and what to try next. It needs no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ..store.files import writing

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e24; --faint: #666b78; --paper: #fbfaf7; --card: #ffffff; --line: #e4e2da;
  --accent: #0f8f88; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceae4; --faint: #a2a6b2; --paper: #17181c; --card: #202228;
  --line: #34363e; --accent: #4fd0c8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 80px; }
h1 { font-size: 34px; line-height: 1.15; margin: 0 0 8px; } h2 { margin: 44px 0 8px; font-size: 23px; }
p { max-width: 68ch; margin: 8px 0 14px; } .faint, figcaption { color: var(--faint); font-size: 15px; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 8px; }
.strip figure { margin: 0; } .strip figcaption { font-size: 13px; line-height: 1.35; margin-top: 4px; }
.strip img, .pair img { width: 100%; border-radius: 8px; display: block; }
.wide { width: 100%; border: 1px solid var(--line); border-radius: 10px; background: #fff; display: block; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 18px; }
.pair { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px; margin: 0; }
.pair div { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin-bottom: 8px; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; overflow-x: auto;
  font-size: 14px; line-height: 1.5; } code { font-family: ui-monospace, monospace; }
a { color: var(--accent); } svg { width: 100%; height: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
"""


@dataclass(frozen=True)
class Pair:
    """One prompt painted without and with the adapter; paths are relative to the page."""

    prompt: str
    base: str
    personalised: str


def curve(lines: Sequence[dict[str, float]]) -> str:
    """The training loss over steps as an SVG, with the held-out loss as points."""
    width, height, left, bottom = 720, 220, 52, 34
    losses = [(line["step"], line["loss"]) for line in lines]
    held = [(line["step"], line["held_out_loss"]) for line in lines if "held_out_loss" in line]
    if len(losses) < 2:
        return ""
    top = max(value for _, value in losses + held) * 1.05
    last = max(step for step, _ in losses)

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (width - left - 14) * step / last, 12 + (height - bottom - 12) * (1 - value / top)

    smooth, mean = [], losses[0][1]
    for step, value in losses:
        mean += 0.25 * (value - mean)
        smooth.append("{:.1f},{:.1f}".format(*place(step, mean)))
    dots = "".join('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="#e4572e"/>'.format(*place(s, v)) for s, v in held)
    marks = "".join(
        f'<text x="{left - 8}" y="{place(0, top * part)[1] + 4:.1f}" text-anchor="end">{top * part:.2f}</text>'
        for part in (0, 0.5, 0.95)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="training loss over steps">'
        f'<g font-size="12" fill="currentColor" opacity=".75">{marks}'
        f'<text x="{left}" y="{height - 10}">step 0</text>'
        f'<text x="{width - 14}" y="{height - 10}" text-anchor="end">step {last:.0f}</text></g>'
        f'<polyline fill="none" stroke="#0f8f88" stroke-width="2.5" points="{" ".join(smooth)}"/>{dots}</svg>'
    )


def write_page(
    folder: Path, taught: Mapping[str, str], pairs: Sequence[Pair], metrics: Path, train_command: str, minutes: float
) -> None:
    """Write `index.html` into the demo's folder. taught: the caption of every training picture by its path."""
    shown = escape(shlex.quote(folder.name))
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    strip = "".join(
        f'<figure><img src="{escape(path)}" alt="training picture"><figcaption>{escape(caption)}</figcaption></figure>'
        for path, caption in taught.items()
    )
    cards = "".join(
        f'<figure class="pair"><div><img src="{escape(p.base)}" alt="base model"><img src="{escape(p.personalised)}" '
        f'alt="personalised model"></div><figcaption>{escape(p.prompt)}</figcaption></figure>'
        for p in pairs
    )
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Limner: a first portrait</title><style>{STYLE}</style></head><body><main>
<h1>A model that learnt somebody new</h1>
<p>The starter is a small text-to-image model that comes with Limner. It knows cats and dogs, but it had never seen the
one below. In {minutes:.1f} minutes, on this machine, it learnt it from {len(taught)} pictures. Now the words
<b>sks cat</b> mean this cat, in any place and any style.</p>
<h2>What it was shown</h2>
<p class="faint">Each picture has a text file of its name beside it, with these words. They tell pose and place, so what
is left for <b>sks</b> is the cat itself.</p>
<div class="strip">{strip}</div>
<h2>Before and after</h2>
<p class="faint">Left: the base model. Right: the same prompt, seed and settings with the adapter.</p>
<div class="pairs">{cards}</div>
<h2>How closely should it follow the words?</h2>
<p>The guidance scale decides. Low values give soft, free pictures; high ones obey the prompt and the subject more
strictly, until colours grow harsh. Look along a row and choose what you like.</p>
<a href="results.png"><img class="wide" src="results.png" alt="grid of results: prompts by settings"></a>
<h2>How it learnt</h2>
<p class="faint">Line: loss on the training pictures. Points: loss on a picture that was held out. When the points rise
while the line falls, the model learns the pictures by heart, and fewer steps are better.</p>
{curve(lines)}
<h2>Try next</h2>
<p>Paint it somewhere else:</p>
<pre><code>limner generate "a photo of sks cat wearing a crown in the mountains" \
--adapter {shown}/adapter --count 4</code></pre>
<p>Paint one of these pictures again, pixel for pixel; every picture carries its own request:</p>
<pre><code>limner run {shown}/{escape(pairs[0].personalised)} --out again</code></pre>
<p>Teach it your own dog, cat or mug: put 5 to 20 photographs into a folder, varied in place, light and angle.</p>
<pre><code>limner train photos/ --class dog --identifier sks --out rex
limner generate "a photo of sks dog on the beach" --adapter rex --count 4</code></pre>
<p>The starter paints 128 pixels wide in a picture-book manner. For photographs in full size take a real model \
and a GPU:</p>
<pre><code>limner train photos/ --class dog --model sdxl --out rex-xl</code></pre>
<p class="faint">This page was made by: <code>{escape(train_command)}</code>, then {len(pairs)} prompts at 30 \
steps, seed 42.
All pictures here were made by AI or drawn by program, and their files say so.</p>
</main></body></html>
"""
    with writing(folder / "index.html") as partial:
        partial.write_text(page, encoding="utf-8")

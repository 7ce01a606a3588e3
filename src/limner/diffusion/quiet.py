"""Hushes the libraries' own chatter, so that what a user sees is ours."""

from __future__ import annotations

import warnings


def hush() -> None:
    """Keep errors only: no progress bars, no advice, no warnings of transformers, diffusers and the hub."""
    import transformers.utils.logging as transformers_logging
    from diffusers.utils import logging as diffusers_logging

    for library in (transformers_logging, diffusers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    warnings.filterwarnings("ignore", module=r"(transformers|diffusers|huggingface_hub|peft|torch)\b")

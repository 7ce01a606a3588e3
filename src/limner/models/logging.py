"""Log output of the libraries, which would mix with Limner's own."""

from __future__ import annotations

import warnings


def quiet_libraries() -> None:
    """Switch off progress bars and warnings of transformers, diffusers and the hub; errors are still logged.

    Except those of diffusers, which it also raises, so that Limner reports them.
    """
    import transformers.utils.logging as transformers_logging
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()
    for library in (transformers_logging, diffusers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    diffusers_logging.set_verbosity(diffusers_logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(transformers|diffusers|huggingface_hub|peft|torch)\b")

"""Mathematics, layer names and tensors that several plugins share: no plugin among them."""

import logging

for _chatty in ("bitsandbytes", "torchao", "torch.utils._pytree", "huggingface_hub"):  # at their import, if installed
    logging.getLogger(_chatty).setLevel(logging.ERROR)

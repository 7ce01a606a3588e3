"""The judge: the trained network, and the probabilities that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from limner.starter.judge.attributes import ATTRIBUTES
from limner.starter.judge.network import JudgeNetwork

WEIGHTS = Path(__file__).parents[1] / "weights" / "judge" / "model.safetensors"
SIDE, BATCH = 128, 64


@dataclass(frozen=True)
class Readings:
    """Calibrated probabilities of the values of each attribute, (n, k) for n images."""

    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.values["subject"])

    def shows(self, index: int, attribute: str, value: str) -> bool:
        """Whether an image shows this value: its probability is over 0.5."""
        return bool(self.values[attribute][index, ATTRIBUTES[attribute].index(value)] > 0.5)

    def likeliest(self, index: int, attribute: str) -> str:
        """The value with the highest probability."""
        return ATTRIBUTES[attribute][int(self.values[attribute][index].argmax())]


class Judge:
    """A trained network, calibrated by temperatures (Guo et al. 2017, arXiv 1706.04599)."""

    def __init__(self, network: JudgeNetwork) -> None:
        self.network = network.eval()

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Judge:
        """Load the judge of the starter, or another one from a safetensors file."""
        from safetensors.torch import load_file

        network = JudgeNetwork()
        network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
        return cls(network)

    @torch.inference_mode()
    def read(self, pixels: np.ndarray) -> Readings:
        """Read the attributes of images (n, 128, 128, 3) uint8."""
        parts: list[dict[str, torch.Tensor]] = []
        for start in range(0, len(pixels), BATCH):
            images = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(self.network(images.float() / 127.5 - 1))
        temperatures = self.network.get_buffer("temperature")
        return Readings(
            {
                name: (torch.cat([logits[name] for logits in parts]) / temperatures[i]).softmax(1).numpy()
                for i, name in enumerate(ATTRIBUTES)
            }
        )

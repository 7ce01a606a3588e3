"""Reading pictures with the trained network."""

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
    """Calibrated probabilities of n pictures: each attribute's values (n, k)."""

    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.values["subject"])

    def shows(self, index: int, attribute: str, value: str) -> bool:
        """Whether a picture shows this value: more likely than not."""
        return bool(self.values[attribute][index, ATTRIBUTES[attribute].index(value)] > 0.5)

    def likeliest(self, index: int, attribute: str) -> str:
        return ATTRIBUTES[attribute][int(self.values[attribute][index].argmax())]


class Judge:
    """A trained network with its temperatures (Guo et al. 2017, arXiv 1706.04599)."""

    def __init__(self, network: JudgeNetwork) -> None:
        self.network = network.eval()

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Judge:
        """The judge that comes with the starter, or another one from a safetensors file."""
        from safetensors.torch import load_file

        network = JudgeNetwork()
        network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
        return cls(network)

    @torch.inference_mode()
    def read(self, pixels: np.ndarray) -> Readings:
        """Read uint8 pictures (n, 128, 128, 3)."""
        parts: list[dict[str, torch.Tensor]] = []
        for start in range(0, len(pixels), BATCH):
            pictures = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(self.network(pictures.float() / 127.5 - 1))
        warmth = self.network.get_buffer("temperature")
        return Readings(
            {
                name: (torch.cat([logits[name] for logits in parts]) / warmth[i]).softmax(1).numpy()
                for i, name in enumerate(ATTRIBUTES)
            }
        )

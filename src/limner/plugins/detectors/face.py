"""Where faces are, by YuNet (Wu, Peng & Yu 2023, YuNet: A tiny millisecond-level face detector)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError

SIDE = 640
"""The longer side of what is looked at, and of the map less SCALE."""
SCALE = 4
SCORE = 0.6
WIDER, HIGHER = 1.3, 1.5
"""How much larger than a face its soft ellipse is: hair, chin and ears belong to it."""
REMEDY = "fetch face_detection_yunet_2023mar.onnx of OpenCV's model zoo, and give it: face=PATH"


class Face:
    """Faces as soft ellipses. The name of the model is the path of YuNet's ONNX file, which OpenCV carries out."""

    title = "faces"
    named = True
    faces = True

    def finder(self, model: str | None) -> Faces:
        if not model:
            raise LimnerError("the detector 'face' needs YuNet's weights", REMEDY)
        path = Path(model).expanduser()
        if not path.is_file():
            raise LimnerError(f"there is no file {model!r}", REMEDY)
        faces = Faces(path)
        faces(Image.new("RGB", (64, 64)), "")
        return faces


plugin = Face()


class Faces:
    """Finds faces by the weights in a file; can be sent to other processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._network: Any = None

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)

    def __call__(self, picture: Image.Image, words: str) -> np.ndarray | None:
        scale = min(1.0, SIDE / max(picture.size))
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        small = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        faces = self._faces(np.ascontiguousarray(np.asarray(small)[..., ::-1]))
        shape = (-(-size[1] // SCALE), -(-size[0] // SCALE))
        return ellipses(faces[:, :4] / SCALE, faces[:, -1], shape) if len(faces) else None

    def _faces(self, pixels: np.ndarray) -> np.ndarray:
        """Left, top, width, height, five landmarks and the score of each face in BGR pixels (h, w, 3): (n, 15)."""
        cv2 = _cv2()
        size = (pixels.shape[1], pixels.shape[0])
        try:
            if self._network is None:
                self._network = cv2.FaceDetectorYN.create(str(self._path), "", size, SCORE)
            self._network.setInputSize(size)
            faces = self._network.detect(pixels)[1]
        except cv2.error as error:
            raise LimnerError(f"{str(self._path)!r} finds no faces ({str(error)[-160:]})", REMEDY) from error
        return np.zeros((0, 15), np.float32) if faces is None else faces[np.isfinite(faces).all(1)]


def ellipses(boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (h, w) in fp32 of faces with boxes (n, 4) of left, top, width and height: in the middle of each its score,
    at the outline of its ellipse nothing.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    found = np.zeros(shape, np.float32)
    for (left, top, width, height), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        across = (columns - left - width / 2) / max(width / 2 * WIDER, 0.5)
        down = (rows - top - height / 2) / max(height / 2 * HIGHER, 0.5)
        np.maximum(found, score * np.clip(1.5 * (1 - across**2 - down**2), 0, 1), out=found)
    return found


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise LimnerError("finding faces needs OpenCV, which is missing", "pip install 'limner[prepare]'") from error
    return cv2

"""Finds faces with YuNet (Wu, Peng & Yu 2023, YuNet: A tiny millisecond-level face detector)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import expand_home
from limner.imaging.opencv import opencv

SIDE = 640
"""The longer side of the image that is searched; that of the map is SCALE times shorter."""
SCALE = 4
SCORE = 0.6
WIDER, HIGHER = 1.3, 1.5
"""Scale of the soft ellipse relative to the face, to include hair, chin and ears."""
REMEDY = "download face_detection_yunet_2023mar.onnx from OpenCV's model zoo, and give its path: face=PATH"


class FaceDetector:
    """Detector of faces as soft ellipses. Its model is the path of YuNet's ONNX file, which OpenCV runs."""

    title = "faces"
    named = True
    faces = True

    def finder(self, model: str | None) -> FaceFinder:
        """The finder of faces with the weights in a file. Raises LimnerError if they cannot be loaded."""
        if not model:
            raise LimnerError("the detector 'face' needs YuNet's weights", REMEDY)
        path = expand_home(model)
        if not path.is_file():
            raise LimnerError(f"there is no file {model!r}", REMEDY)
        finder = FaceFinder(path)
        finder(Image.new("RGB", (64, 64)), "")
        return finder


plugin = FaceDetector()


class FaceFinder:
    """Finds faces with the weights in a file; can be pickled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._network: Any = None

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)

    def __call__(self, image: Image.Image, words: str) -> np.ndarray | None:
        scale = min(1.0, SIDE / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        faces = self._faces(np.ascontiguousarray(np.asarray(small)[..., ::-1]))
        shape = (-(-size[1] // SCALE), -(-size[0] // SCALE))
        return ellipses(faces[:, :4] / SCALE, faces[:, -1], shape) if len(faces) else None

    def _faces(self, pixels: np.ndarray) -> np.ndarray:
        """Left, top, width, height, five landmarks and the score of each face in BGR pixels (h, w, 3): (n, 15)."""
        cv2 = opencv()
        size = (pixels.shape[1], pixels.shape[0])
        try:
            if self._network is None:
                self._network = cv2.FaceDetectorYN.create(str(self._path), "", size, SCORE)
            self._network.setInputSize(size)
            faces = self._network.detect(pixels)[1]
        except cv2.error as error:
            raise LimnerError(f"{str(self._path)!r} cannot find faces ({str(error)[-160:]})", REMEDY) from error
        return np.zeros((0, 15), np.float32) if faces is None else faces[np.isfinite(faces).all(1)]


def ellipses(boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (h, w) in fp32 of faces with boxes (n, 4) of left, top, width and height.

    The value is the score at the centre of each face, and 0 at the outline of its ellipse.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    found = np.zeros(shape, np.float32)
    for (left, top, width, height), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        across = (columns - left - width / 2) / max(width / 2 * WIDER, 0.5)
        down = (rows - top - height / 2) / max(height / 2 * HIGHER, 0.5)
        np.maximum(found, score * np.clip(1.5 * (1 - across**2 - down**2), 0, 1), out=found)
    return found

"""A model that computes nothing, and a server with it in a process of its own:
`python -m tests.serve.fake SECONDS OPTIONS...`, where each picture takes so long, or crashes it if they are negative.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Categories


def bright_parts(image: np.ndarray, threshold: float = 0.5, most: int | None = None) -> Prediction:
    """Two "objects": the bright pixels of the left half and of the right half, of different classes and scores."""
    bright, middle = image[:, :, 0] > 127, image.shape[1] // 2
    masks = [bright.copy(), bright.copy()]
    masks[0][:, middle:], masks[1][:, :middle] = False, False
    found = Prediction(
        boxes=np.array([[0, 0, middle, len(image)], [middle, 0, image.shape[1], len(image)]], np.float32),
        scores=np.array([0.9, 0.6], np.float32),
        labels=np.array([0, 1]),
        image_size=(image.shape[0], image.shape[1]),
        categories=Categories((3, 7), ("left", "right")),
        source=image,
        given_masks=PackedRLE.from_rles([encode_rle(mask.astype(np.uint8)) for mask in masks], image.shape[:2]),
    )
    kept = found[found.scores > threshold][:most]
    return replace(kept, limited=int(len(kept) == most))


@dataclass
class FakeModel:
    """Finds `bright_parts`.

    Attributes:
        gate: cleared, it makes every picture but the first (of the start) wait.
        begun: calls so far.
        batches: how many pictures each finished call got.
        error: raised instead of an answer, once the model has started.
        seconds: that a call takes then.
        scale: that is said to lose small objects.
    """

    name: str = "fake"
    categories: Categories = field(default_factory=lambda: Categories((3, 7), ("left", "right")))
    gate: threading.Event = field(default_factory=threading.Event)
    begun: int = 0
    batches: list[int] = field(default_factory=list)
    error: BaseException | None = None
    seconds: float = 0.0
    scale: float | None = None
    score_threshold: float = 0.55

    def __post_init__(self) -> None:
        self.gate.set()

    def predict(self, source: np.ndarray, *, score_threshold: float | None, max_detections: int | None) -> Prediction:
        return self._answer([source], self._threshold(score_threshold), max_detections)[0]

    def stream(
        self,
        sources: Iterable[np.ndarray],
        *,
        batch_size: int,
        score_threshold: float | None,
        max_detections: int | None,
    ) -> Iterator[Prediction]:
        return iter(self._answer(list(sources), self._threshold(score_threshold), max_detections))

    def _threshold(self, asked: float | None) -> float:
        return self.score_threshold if asked is None else asked

    def _answer(self, images: list[np.ndarray], threshold: float, most: int | None) -> list[Prediction]:
        self.begun += 1
        if self.begun > 1:
            assert self.gate.wait(20)
            time.sleep(self.seconds)
            if self.error is not None:
                raise self.error
        self.batches.append(len(images))
        return [replace(bright_parts(image, threshold, most), shrunk=self.scale) for image in images]


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def multipart(*parts: tuple[str, bytes], boundary: str = "B") -> bytes:
    """A multipart/form-data body of (name, content)."""
    head = '--{}\r\nContent-Disposition: form-data; name="{}"; filename="a.png"\r\n\r\n'
    body = b"".join(head.format(boundary, name).encode() + content + b"\r\n" for name, content in parts)
    return body + f"--{boundary}--\r\n".encode()


if __name__ == "__main__":
    from maskrcnn.cli import main, serve

    wait = float(sys.argv[1])
    model = FakeModel(seconds=max(wait, 0), error=SystemExit() if wait < 0 else None)
    serve.load_model = lambda values: model
    sys.exit(main.main(["serve", "--port", "0", *sys.argv[2:]]))

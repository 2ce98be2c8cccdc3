"""Use a trained model: load it, give it images, get named objects in the pixels of those images.

>>> model = maskrcnn.load("nuclei")
>>> prediction = model.predict("cells.png")
>>> prediction.save("overlay.png")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.devices import resolve_device, resolve_precision
from maskrcnn.errors import UserError
from maskrcnn.models.fusing import compute_in, prepare_for_prediction
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.replay import replay_dense_parts
from maskrcnn.ops.overlap import uncovered
from maskrcnn.ops.paste import PastedMasks, Rule, paste_mask_crop, paste_rles, paste_windows
from maskrcnn.ops.polygons import Ring, bitmap_to_polygons
from maskrcnn.ops.rle_coco import rle_to_coco
from maskrcnn.pipeline import ahead
from maskrcnn.settings import nearest
from maskrcnn.sources import Source, read_source, source_pixels
from maskrcnn.structures import RLE, Categories, Detections, MaskCrops, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.overlay import draw_overlay, picture_format, save_picture
from maskrcnn.viz.skeletons import Skeletons
from maskrcnn.weights.checkpoint import load_model
from maskrcnn.weights.hub import is_published, load_published

MASK_THRESHOLD = 0.5
"""A pixel belongs to an object from this probability on (Mask R-CNN section 3.1)."""

_BUNDLED = Path(__file__).parent / "weights" / "bundled"


Part = tuple[Ring, list[Ring]]
"""The outer ring of a connected part and the rings of its holes, each (n, 2) x, y in continuous pixels."""


@dataclass(frozen=True, repr=False, kw_only=True)
class Prediction(Detections):
    """The objects found in one image, with names, and the image itself within reach.

    Small: masks stay `mask_probs`, and an image that came as a file is read again when it is needed.

    Attributes:
        categories: the model's classes.
        source: the image as it was given.
        paste: how masks become pixels, one of `ops.paste.RULES`.
    """

    categories: Categories
    source: Source
    paste: Rule = "exact"

    def __repr__(self) -> str:
        height, width = self.image_size
        source = f" in {self.source}" if isinstance(self.source, str | PathLike) else ""
        return f"Prediction({len(self)} objects{source}, {width} x {height} pixels)"

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.categories.names[label] for label in self.labels.tolist()]

    def image(self) -> ByteArray:
        """(H, W, 3) uint8 RGB pixels of the image."""
        return source_pixels(self.source)

    def crops(self) -> MaskCrops:
        """The binary masks, each stored only inside its own window.

        Raises:
            UserError: the model has no mask branch; so do the other methods that need masks.
        """
        return paste_mask_crop(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def masks(self) -> Tensor:
        """(D, H, W) bool masks; they need D x H x W bytes, `crops` and `rle` need far less."""
        pasted = self._pasted()
        frames = torch.zeros((len(self), *self.image_size), dtype=torch.bool)
        for index, (x1, y1, x2, y2) in enumerate(pasted.windows.tolist()):
            frames[index, y1:y2, x1:x2] = pasted.crop(index)
        return frames

    def rle(self) -> list[RLE]:
        """COCO run lengths of each mask; only one is unpacked at a time."""
        return paste_rles(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def polygons(self) -> list[list[Part]]:
        """The outline of each mask, part by connected part."""
        windows = paste_windows(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)
        return [_moved(bitmap_to_polygons(crop), window[:2]) for crop, window in windows]

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """COCO results: per object category, box (x, y, width, height), score, mask as compressed RLE, and keypoints.

        Keypoints are x, y, score for each, in COCO's coordinates: the number of the pixel.
        """
        corners, sizes = self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]
        results: list[dict[str, Any]] = [
            {
                "image_id": image_id,
                "category_id": self.categories.ids[label],
                "category_name": self.categories.names[label],
                "bbox": [round(value, 3) for value in bbox],
                "score": score,
            }
            for label, bbox, score in zip(
                self.labels.tolist(), torch.cat([corners, sizes], 1).tolist(), self.scores.tolist(), strict=True
            )
        ]
        if self.mask_probs is not None:
            for result, rle in zip(results, self.rle(), strict=True):
                result["segmentation"] = rle_to_coco(rle)
        if self.keypoints is not None:
            shift = self.keypoints.new_tensor([PIXEL_CENTRE, PIXEL_CENTRE, 0])
            for result, label, rows in zip(results, self.labels.tolist(), self.keypoints - shift, strict=True):
                if self.categories.has_keypoints(label):
                    result["keypoints"] = [round(value, 3) for value in rows.flatten().tolist()]
        return results

    def save(self, path: str | PathLike[str]) -> None:
        """Write the image with outlines, names and scores drawn over it.

        Args:
            path: a PNG, JPEG, WebP, TIFF or BMP file, by its ending.

        Raises:
            UserError: an unknown ending, the image cannot be read again, or `path` cannot be written.
        """
        picture_format(Path(path))  # before the work, not after it
        save_picture(Path(path), self.overlay())

    def overlay(self) -> ByteArray:
        """(H, W, 3) uint8 RGB: the picture that `save` writes; a small image comes enlarged by a whole factor."""
        masks = None if self.mask_probs is None else self._pasted()
        return draw_overlay(
            self.image(), masks, self.boxes, self.labels, self.scores, self.categories.names, self._skeletons()
        )

    def _skeletons(self) -> Skeletons | None:
        """None without keypoints; those of classes without any score nothing."""
        if self.keypoints is None or self.categories.keypoints is None:
            return None
        has_keypoints = [self.categories.has_keypoints(label) for label in self.labels.tolist()]
        counted = self.keypoints.new_tensor(has_keypoints)[:, None, None]
        return Skeletons(self.keypoints * counted, self.categories.keypoints.skeleton)

    def _pasted(self) -> PastedMasks:
        return PastedMasks(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def _require_masks(self) -> Tensor:
        if self.mask_probs is None:
            raise UserError("this model has no mask branch (mask_head.enabled is false), so there are no masks")
        return self.mask_probs


class Model:
    """A trained network and its classes, ready for images.

    Args:
        network: the weights; moved to `device` and put into eval mode.
        categories: its classes.
        config: its settings.
        device: as `torch.device` names it.
        summary: what its training had to say.
        name: for people; the backbone's if empty.
        precision: what convolutions and matrix products compute in.
    """

    def __init__(
        self,
        network: MaskRCNN,
        categories: Categories,
        config: Config,
        device: torch.device | str = "cpu",
        summary: dict[str, Any] | None = None,
        name: str = "",
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.categories = categories
        self.config = config
        self.summary = summary or {}
        self.name = name or config.backbone.name
        self.precision = precision

    def __repr__(self) -> str:
        classes = ", ".join(self.categories.names[:10]) + (", ..." if len(self.categories) > 10 else "")
        return f"Model({self.name} on {self.device}, {len(self.categories)} classes: {classes})"

    @overload
    def predict(
        self,
        source: list[Source],
        score_threshold: float = ...,
        max_detections: int | None = ...,
        proposals: Sequence[Tensor] | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        source: Source,
        score_threshold: float = ...,
        max_detections: int | None = ...,
        proposals: Tensor | None = ...,
    ) -> Prediction: ...

    def predict(
        self,
        source: Source | list[Source],
        score_threshold: float = 0.5,
        max_detections: int | None = None,
        proposals: Tensor | Sequence[Tensor] | None = None,
    ) -> Prediction | list[Prediction]:
        """Find the objects in an image, or in each of a list of images.

        Args:
            source: a file, a Pillow image, an (H, W, 3) uint8 array, a (3, H, W) tensor, or a list of these; RGB.
            score_threshold: only objects with a higher score; may lie below the one the model was trained with.
            max_detections: at most this many objects per image, the best; None: as the model was trained.
            proposals: for a model without RPN (Fast R-CNN): boxes (P, 4) x1, y1, x2, y2 in the pixels of the image, or
                a list of these for a list of images.

        Raises:
            UserError: an image that cannot be read; a model without RPN and without `proposals`; those of more or fewer
                images.
        """
        if isinstance(source, list):
            boxes = None if proposals is None else list(proposals)
            if boxes is not None and len(boxes) != len(source):
                raise UserError(
                    f"proposals: expected boxes for each of {len(source)} images, got those of {len(boxes)}"
                )
            return list(self.stream(source, 1, score_threshold, max_detections, proposals=boxes))
        own = None if proposals is None else [torch.as_tensor(proposals)]
        return next(self.stream((source,), 1, score_threshold, max_detections, proposals=own))

    def stream(
        self,
        sources: Iterable[Source],
        batch_size: int = 1,
        score_threshold: float = 0.5,
        max_detections: int | None = None,
        on_error: Callable[[Source, UserError], None] | None = None,
        proposals: Iterable[Tensor] | None = None,
    ) -> Iterator[Prediction]:
        """Predictions one after the other, however many images there are; memory stays that of one batch.

        Args:
            sources: images as for `predict`. Those of a list are read a little ahead, while the network works; from
                any other iterable, such as a camera's, they are taken only when their turn comes.
            batch_size: images read together; those that need the same size share a pass through the network.
            score_threshold: as for `predict`.
            max_detections: as for `predict`.
            on_error: called for an image that cannot be read, which is then left out; None: the error is raised.
            proposals: as for `predict`, one for each source.
        """
        images = _readable(sources, on_error, repeat(None) if proposals is None else proposals)
        while batch := list(islice(images, batch_size)):
            boxes = None if proposals is None else [boxes for _, _, boxes in batch if boxes is not None]
            found = self._detect([image for _, image, _ in batch], boxes, score_threshold, max_detections)
            for (source, _, _), detections in zip(batch, found, strict=True):
                yield Prediction(
                    **_fields(detections),
                    categories=self.categories,
                    source=source,
                    paste=self.config.mask_head.paste,
                )

    @torch.inference_mode()
    def _detect(
        self,
        images: Sequence[Tensor],
        proposals: Sequence[Tensor] | None,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Detections]:
        """One pass for all images of a size: padded to a common size, unlike ones would cost more than one by one."""
        passes: dict[Size, list[int]] = {}
        for number, image in enumerate(images):
            passes.setdefault(self.network.preprocess.padded_size(image), []).append(number)
        found: dict[int, Detections] = {}
        for numbers in passes.values():
            with self._autocast():
                detections = self.network.predict(
                    [images[number].to(self.device) for number in numbers],
                    proposals=None if proposals is None else [proposals[number] for number in numbers],
                    score_threshold=score_threshold,
                    max_detections=max_detections,
                )
            found.update(zip(numbers, detections, strict=True))
        return [self._without_overlap(found[number]) for number in range(len(images))]

    def _autocast(self) -> torch.autocast:
        """Without its cache of weights, which would not outlive the pass that a CUDA graph is recorded in."""
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision if enabled else None, enabled, cache_enabled=False)

    def _without_overlap(self, found: Detections) -> Detections:
        settings = self.config.mask_head
        if found.mask_probs is None or settings.max_overlap >= 1:
            return found
        masks = paste_mask_crop(found.mask_probs, found.boxes, found.image_size, MASK_THRESHOLD, settings.paste)
        return found[uncovered(masks, found.labels.cpu(), settings.max_overlap).to(self.device)]


def load(name_or_path: str | PathLike[str], device: str = "auto", precision: str = "float32") -> Model:
    """A model, ready to predict.

    Args:
        name_or_path: a bundled model's name, such as "nuclei"; a published one's, such as
            "torchvision/maskrcnn_resnet50_fpn_v2", which is downloaded on first use; or a .safetensors file.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1", ...
        precision: "float32"; "bfloat16" for GPUs and for CPUs with AMX, where it takes a third to six tenths of the
            time, or "float16" for GPUs: their results differ a little.

    Raises:
        UserError: no such model, device or precision, a damaged file, or no network.
    """
    target, dtype = resolve_device(device), resolve_precision(precision)
    name = fspath(name_or_path)
    read = load_published(name) if is_published(name) else load_model(_find_model(name))
    network, config, categories, summary = read
    network = prepare_for_prediction(network)
    if target.type == "cpu":
        network = compute_in(dtype, network)
    model = Model(network, categories, config, target, summary, name, dtype)
    if target.type == "cuda":
        replay_dense_parts(model.network)
    return model


def bundled_models() -> dict[str, Path]:
    """The models that come with the package, by name."""
    return {path.stem: path for path in sorted(_BUNDLED.glob("*.safetensors"))}


def _find_model(name: str) -> Path:
    bundled, path = bundled_models(), Path(name).expanduser()
    if name in bundled:
        return bundled[name]
    if path.exists() or path.suffix or path.name != name:  # it was meant as a file: reading it says what is wrong
        return path
    hint = nearest(name, bundled) if bundled else "none is bundled"
    raise UserError(f"model {name!r}: neither a file nor a bundled model; {hint}")


def _moved(parts: list[Part], offset: tuple[int, int]) -> list[Part]:
    return [(outer + np.array(offset), [hole + np.array(offset) for hole in holes]) for outer, holes in parts]


def _fields(detections: Detections) -> dict[str, Any]:
    """The fields, on the CPU; cloned, since tensors made in inference mode refuse to be changed later."""
    return {k: v.cpu().clone() if isinstance(v, Tensor) else v for k, v in vars(detections).items()}


def _readable(
    sources: Iterable[Source],
    on_error: Callable[[Source, UserError], None] | None,
    proposals: Iterable[Tensor | None],
) -> Iterator[tuple[Source, Tensor, Tensor | None]]:
    """Each source with its (3, H, W) image and its proposals."""
    read = ((source, _try_to_read(source), boxes) for source, boxes in zip(sources, proposals, strict=False))
    for source, image, boxes in ahead(read) if isinstance(sources, list) else read:
        if isinstance(image, Tensor):
            yield source, image, boxes
        elif on_error is None:
            raise image
        else:
            on_error(source, image)


def _try_to_read(source: Source) -> Tensor | UserError:
    try:
        return read_source(source)
    except UserError as error:
        return error

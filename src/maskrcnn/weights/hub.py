"""Published models by name, downloaded on first use and kept.

They lie in $MASKRCNN_CACHE, or ~/.cache/maskrcnn. With MASKRCNN_OFFLINE=1 nothing is downloaded.
"""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from maskrcnn.errors import UserError
from maskrcnn.files import cache_folder
from maskrcnn.weights.checkpoint import Checkpoint, model_of_weights
from maskrcnn.weights.download import download
from maskrcnn.weights.foreign import Imported, import_foreign

_LIBRARIES = ("torchvision", "detectron2")
_TORCHVISION = "https://download.pytorch.org/models/"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/"

_TORCHVISION_FILES = {
    "maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    "maskrcnn_resnet50_fpn_v2": "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
    "fasterrcnn_resnet50_fpn": "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    "fasterrcnn_resnet50_fpn_v2": "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
    "keypointrcnn_resnet50_fpn": "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "resnext50_32x4d": "resnext50_32x4d-7cdf4587.pth",
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5.pth",
}
"""The last part of each file's name is the beginning of its SHA-256."""

_DETECTRON2_FILES = {
    "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x": "137259246/model_final_9243eb.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x": "137849525/model_final_4ce675.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x": "137260150/model_final_4f86c3.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x": "137849551/model_final_84107b.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x": "137260431/model_final_a54504.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x": "137849600/model_final_f10217.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x": "138363239/model_final_a2914c.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_101_DC5_3x": "138363294/model_final_0464b7.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x": "138205316/model_final_a3ec72.pkl",
    "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x": "139653917/model_final_2d9806.pkl",
    "COCO-Detection/faster_rcnn_R_50_C4_1x": "137257644/model_final_721ade.pkl",
    "COCO-Detection/faster_rcnn_R_50_C4_3x": "137849393/model_final_f97cb7.pkl",
    "COCO-Detection/faster_rcnn_R_50_DC5_1x": "137847829/model_final_51d356.pkl",
    "COCO-Detection/faster_rcnn_R_50_DC5_3x": "137849425/model_final_68d202.pkl",
    "COCO-Detection/faster_rcnn_R_50_FPN_1x": "137257794/model_final_b275ba.pkl",
    "COCO-Detection/faster_rcnn_R_50_FPN_3x": "137849458/model_final_280758.pkl",
    "COCO-Detection/faster_rcnn_R_101_C4_3x": "138204752/model_final_298dad.pkl",
    "COCO-Detection/faster_rcnn_R_101_DC5_3x": "138204841/model_final_3e0943.pkl",
    "COCO-Detection/faster_rcnn_R_101_FPN_3x": "137851257/model_final_f6e8b1.pkl",
    "COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x": "139173657/model_final_68b088.pkl",
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x": "137261548/model_final_04e291.pkl",
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x": "137849621/model_final_a6e10b.pkl",
    "COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x": "138363331/model_final_997cc7.pkl",
    "COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x": "139686956/model_final_5ad38f.pkl",
    "new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ": "42047764/model_final_bb69de.pkl",
    "new_baselines/mask_rcnn_R_50_FPN_200ep_LSJ": "42047638/model_final_89a8d3.pkl",
    "new_baselines/mask_rcnn_R_50_FPN_400ep_LSJ": "42019571/model_final_14d201.pkl",
    "new_baselines/mask_rcnn_R_101_FPN_100ep_LSJ": "42025812/model_final_4f7b58.pkl",
    "new_baselines/mask_rcnn_R_101_FPN_200ep_LSJ": "42131867/model_final_0bb7ae.pkl",
    "new_baselines/mask_rcnn_R_101_FPN_400ep_LSJ": "42073830/model_final_f96b26.pkl",
    "Misc/mask_rcnn_R_50_FPN_3x_gn": "138602888/model_final_dc5d9e.pkl",
}
"""Of which no SHA-256 has been published: their length is checked, and that they make up a whole model."""

_DETECTRON2_BACKBONES = {
    "R-50": "ImageNetPretrained/MSRA/R-50.pkl",
    "R-101": "ImageNetPretrained/MSRA/R-101.pkl",
    "X-101-32x8d": "ImageNetPretrained/FAIR/X-101-32x8d.pkl",
}


@dataclass(frozen=True)
class Published:
    """A file on the web; `sha256` is its beginning, or empty where it is not known."""

    url: str
    sha256: str = ""

    @property
    def path(self) -> Path:
        """Where it is kept."""
        parts = urlsplit(self.url)
        return cache_folder() / parts.netloc.replace(":", "_") / parts.path.lstrip("/")


def _table() -> dict[str, Published]:
    files = {f"torchvision/{name}": _of_torchvision(file) for name, file in _TORCHVISION_FILES.items()}
    for name, file in _DETECTRON2_FILES.items():
        files[f"detectron2/{name.rpartition('/')[2]}"] = Published(f"{_DETECTRON2}{name}/{file}")
    for name, file in _DETECTRON2_BACKBONES.items():
        files[f"detectron2/{name}"] = Published(_DETECTRON2 + file)
    return files


def _of_torchvision(file: str) -> Published:
    return Published(_TORCHVISION + file, file.removesuffix(".pth").rpartition("-")[2])


PUBLISHED = _table()
"""Every name, such as "torchvision/maskrcnn_resnet50_fpn"."""


def is_published(name: str) -> bool:
    """Whether a name means one of these models.

    Raises:
        UserError: it begins as theirs do, or is nearly one of them, but there is no such model (and no such file).
    """
    if name in PUBLISHED or "/" not in name or Path(name).exists():
        return name in PUBLISHED
    close = difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.85)
    if not close and name.partition("/")[0] not in _LIBRARIES:
        return False
    hint = f"did you mean {close[0]}?" if close else "`maskrcnn models` lists them"
    raise UserError(f"model {name!r}: no file, and not among the published models; {hint}")


def is_downloaded(name: str) -> bool:
    """Whether a published model can be had without network."""
    return PUBLISHED[name].path.is_file()


def fetch(name: str) -> Path:
    """The file of a published model, downloaded if it is not in the cache.

    Raises:
        UserError: it cannot be downloaded, or MASKRCNN_OFFLINE forbids it.
    """
    published = PUBLISHED[name]
    if is_downloaded(name):
        return published.path
    if os.environ.get("MASKRCNN_OFFLINE", "0") not in ("", "0"):
        raise UserError(
            f"{name}: not downloaded yet, and MASKRCNN_OFFLINE is set; unset it, or get {published.url} by other means "
            f"and put it at {published.path}"
        )
    print(f"downloading {published.url} to {published.path}", file=sys.stderr)
    download(published.url, published.path, published.sha256)
    return published.path


def import_published(name: str) -> Imported:
    """A published model in our names. Raises as `fetch`, and where the file is not what it was."""
    return import_foreign(fetch(name))


def load_published(name: str) -> Checkpoint:
    """A published model, ready to predict: float32, on the CPU, in eval mode.

    Raises:
        UserError: as `fetch`; or it is a backbone alone.
    """
    imported = import_published(name)
    if imported.is_backbone:
        raise UserError(f"{name}: a backbone without heads, which cannot predict; train from it with --init {name}")
    model = model_of_weights(imported.config, imported.categories, imported.state_dict, name)
    summary = {"imported_from": name, "remarks": list(imported.remarks)}
    return Checkpoint(model.eval(), imported.config, imported.categories, summary)

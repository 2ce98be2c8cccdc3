from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.errors import UserError
from maskrcnn.files import cache_folder
from maskrcnn.loading import load
from maskrcnn.weights import hub
from maskrcnn.weights.hub import PUBLISHED, Published, fetch, import_published, is_published, load_published
from weights.foreign import synthetic


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MASKRCNN_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is published, by URL, in place of the web."""
    pages: dict[str, bytes] = {}

    def download(url: str, path: Path, sha256: str = "") -> None:
        content = pages[url]
        assert hashlib.sha256(content).hexdigest().startswith(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr(hub, "download", download)
    return pages


def publish(web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str, state: dict[str, Any], tmp: Path) -> str:
    torch.save(state, tmp / "file.pth")
    content = (tmp / "file.pth").read_bytes()
    url = f"https://example.org/models/{name}.pth"
    web[url] = content
    monkeypatch.setitem(PUBLISHED, f"test/{name}", Published(url, hashlib.sha256(content).hexdigest()[:8]))
    return f"test/{name}"


def test_the_table() -> None:
    assert {f"torchvision/{kind}rcnn_resnet50_fpn" for kind in ("mask", "faster", "keypoint")} <= PUBLISHED.keys()
    assert {"torchvision/maskrcnn_resnet50_fpn_v2", "detectron2/mask_rcnn_R_50_FPN_3x", "detectron2/R-50"} <= (
        PUBLISHED.keys()
    )
    assert len({published.path for published in PUBLISHED.values()}) == len(PUBLISHED)
    for name, published in PUBLISHED.items():
        assert re.fullmatch(r"https://[a-z.]+/[\w./-]+\.(pth|pkl)", published.url)
        if name.startswith("torchvision/"):
            assert re.fullmatch(r"[0-9a-f]{8}", published.sha256) and f"-{published.sha256}.pth" in published.url
    assert PUBLISHED["torchvision/maskrcnn_resnet50_fpn"].url.endswith(
        "/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
    )
    assert PUBLISHED["detectron2/mask_rcnn_R_50_FPN_3x"].url == (
        "https://dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/"
        "model_final_f10217.pkl"
    )


def test_a_model_is_downloaded_once(
    web: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    name = publish(web, monkeypatch, "detector", synthetic.torchvision_detector(slots=4), tmp_path)
    checkpoint = load_published(name)
    assert not checkpoint.model.training and len(checkpoint.categories) == 3
    assert checkpoint.summary["imported_from"] == name
    assert "downloading https://example.org/models/detector.pth" in capsys.readouterr().err
    web.clear()
    assert fetch(name) == cache / "example.org" / "models" / "detector.pth"
    monkeypatch.setenv("MASKRCNN_OFFLINE", "1")
    assert load_published(name).config == checkpoint.config
    assert capsys.readouterr().err == ""


def test_offline(web: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = publish(web, monkeypatch, "detector", synthetic.torchvision_detector(slots=4), tmp_path)
    monkeypatch.setenv("MASKRCNN_OFFLINE", "1")
    with pytest.raises(UserError, match=r"MASKRCNN_OFFLINE is set; .*https://example\.org/.*put it at .*detector\.pth"):
        fetch(name)
    monkeypatch.setenv("MASKRCNN_OFFLINE", "0")
    assert fetch(name).is_file()


def test_a_backbone_does_not_predict(web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = synthetic.torchvision_resnet((2, 2, 2, 2), bottleneck=False)
    name = publish(web, monkeypatch, "resnet18", state, tmp_path)
    assert import_published(name).is_backbone
    with pytest.raises(UserError, match="train from it with --init test/resnet18"):
        load_published(name)


def test_the_default_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASKRCNN_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "maskrcnn"


def test_which_names_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_published("detectron2/R-50")
    for name in ("nuclei", "model.safetensors", "/tmp/torchvision/model.safetensors", ""):
        assert not is_published(name)
    with pytest.raises(UserError, match=r"did you mean torchvision/maskrcnn_resnet50_fpn\?"):
        is_published("torchvision/mask_rcnn_resnet50_fpn")
    with pytest.raises(UserError, match=r"no file.* did you mean torchvision/maskrcnn_resnet50_fpn\?"):
        is_published("torchvison/maskrcnn_resnet50_fpn")
    with pytest.raises(UserError, match="`maskrcnn models` lists them"):
        is_published("detectron2/retinanet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "mine.safetensors").touch()
    assert not is_published("torchvision/mine.safetensors")


def test_load_goes_through_it(web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = publish(web, monkeypatch, "detector", synthetic.torchvision_detector(slots=4), tmp_path)
    assert load(name, "cpu").categories.names == ("class_1", "class_2", "class_3")

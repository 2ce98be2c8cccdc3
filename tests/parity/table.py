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

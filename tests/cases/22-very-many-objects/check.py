import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import json, subprocess, tempfile, resource, numpy as np
from PIL import Image

T = Path(tempfile.mkdtemp())
(T / "images").mkdir()
boxes = [(int(x), int(y), int(x) + 12, int(y) + 12) for y in np.linspace(2, 786, 38) for x in np.linspace(2, 786, 40)]
a = np.full((800, 800, 3), 30, np.uint8)
for x1, y1, x2, y2 in boxes:
    a[y1:y2, x1:x2] = 200
Image.fromarray(a).save(T / "images/a.png")
anns = [
    dict(
        id=i,
        image_id=1,
        category_id=1,
        iscrowd=0,
        area=144,
        bbox=[b[0], b[1], 12, 12],
        segmentation=[[b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3]]],
    )
    for i, b in enumerate(boxes, 1)
]
for s in ("train", "val"):
    (T / f"instances_{s}.json").write_text(
        json.dumps(
            dict(
                images=[dict(id=1, file_name="a.png", width=800, height=800)],
                annotations=anns,
                categories=[dict(id=1, name="part")],
            )
        )
    )
run = subprocess.run(
    [
        str(a)
        for a in (
            sys.executable,
            "-m",
            "maskrcnn",
            "train",
            "--data",
            T,
            "--output",
            T / "out",
            "--preset",
            "small",
            "--init",
            "none",
            "--set",
            "schedule.steps=1",
            "--set",
            "train.batch_size=1",
        )
    ],
    capture_output=True,
    text=True,
    timeout=500,
)
code, out = run.returncode, run.stdout + run.stderr
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
if code:
    bad.append(out[-300:])
if peak > 1.5:
    bad.append(f"{peak:.2f} GiB")
if "max_detections" not in out:
    bad.append("no word that 100 detections are too few")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import tempfile, json

r = report(D).report
code, out = cli(
    "train",
    "--preset",
    "tiny",
    "--init",
    "none",
    "--train-annotations",
    "labels.json",
    "--val-annotations",
    "labels.json",
    "--images",
    "images",
    "--set",
    "schedule.steps=1",
    "--output",
    tempfile.mkdtemp(),
    cwd=D,
)
if r.num_images == 2 and code == 2 and "step 1/1" in out:
    bad.append("trained, then the evaluation refused the same images: " + out.strip().splitlines()[-1])
elif "over 2 images" not in out and code == 0:
    bad.append("not all images are measured")
done(bad)

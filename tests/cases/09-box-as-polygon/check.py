import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import tempfile

r = report(D).report
if (r.num_objects, r.num_ignored) != (0, 2):
    bad.append(f"{r.num_objects}, {r.num_ignored}")
code, out = cli(
    "train",
    "--preset",
    "tiny",
    "--train-annotations",
    "labels.json",
    "--images",
    "images",
    "--output",
    tempfile.mkdtemp(),
    cwd=D,
)
if code != 2 or "mask_head.enabled=false" not in out:
    bad.append(out[-300:])
code, out = cli("check", "labels.json", "--images", "images", cwd=D)
if "objects       0 to 0" not in out:
    bad.append("check counts ignored regions as objects per image")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
code, out = cli("check", "labels.json", "--images", "images", cwd=D)
if code == 0:
    bad.append("check: exit 0 although there is nothing to learn from")
if "crowd" not in out:
    bad.append("check does not say that all are crowds (iscrowd 1)")
if "objects       0 to 0" not in out:
    bad.append("check counts ignored regions as objects per image")
import tempfile

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
if code != 2 or "crowd" not in out:
    bad.append("train does not name iscrowd as the reason: " + out.strip().splitlines()[-1])
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import tempfile, json

T = Path(tempfile.mkdtemp())
code, out = cli(
    "train",
    "--preset",
    "tiny",
    "--init",
    "none",
    "--train-annotations",
    "labels.json",
    "--val-annotations",
    "val.json",
    "--images",
    "images",
    "--set",
    "schedule.steps=3",
    "--set",
    "train.evaluate_every=1",
    "--output",
    T / "o",
    cwd=D,
)
before = out.split("step 1/3")[0]
if "val.json" not in before:
    bad.append("nothing said before training about a validation without objects")
from maskrcnn.weights.checkpoint import load_model

best = T / "o/best.safetensors"
if code == 0 and best.exists() and "best.safetensors" in out.split("model:")[-1]:
    if load_model(best)[3].get("steps") != 3:
        bad.append(f"the model offered is that of step {load_model(best)[3].get('steps')} of 3")
done(bad)

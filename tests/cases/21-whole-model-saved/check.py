import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import tempfile, warnings

warnings.simplefilter("ignore")
sys.path.insert(0, str(D))
import mk

T = Path(tempfile.mkdtemp())
mk.files(T)


def imp(f):
    return cli("import-weights", T / f, T / "x.safetensors")


for f in ("whole_model.pth", "whole_in_dict.pth", "script.pt", "tensors.pkl"):
    code, out = imp(f)
    if code != 2:
        bad.append(f"{f}: exit {code}")
    if "Warning" in out:
        bad.append(f"{f}: prints PyTorch's own warning")
    if "state_dict" not in out:
        bad.append(f"{f}: does not say how to save the weights: {out.strip().splitlines()[-1]}")
done(bad)

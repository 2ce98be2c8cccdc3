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


for f in (
    "plain.pth",
    "tv_reference.pth",
    "dp.pth",
    "model_module.pth",
    "legacy.pth",
    "numpy.pkl",
    "plain.safetensors",
    "half.pth",
):
    code, out = imp(f)
    if code:
        bad.append(f"{f}: {out.strip()}")
for f in (
    "tutorial.pth",
    "model_state.pth",
    "net.pth",
    "weights.pth",
    "params.pth",
    "nested.pth",
    "lightning.ckpt",
    "lightning_net.ckpt",
    "compiled.pth",
    "dp_compiled.pth",
):
    code, out = imp(f)
    if code:
        bad.append(f"{f}: {out.strip()}")
code, out = imp("nan.pth")
if code == 0 and "nan" not in out.lower() and "finite" not in out.lower():
    bad.append("nan.pth: weights that are not finite, not a word")
done(bad)

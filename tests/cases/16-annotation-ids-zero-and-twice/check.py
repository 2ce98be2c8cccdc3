import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
m, w = metrics(D / "labels.json", perfect([A, B], image=0))
for k in ("mask", "box"):
    if not m[k]["AP"] > 0.99:
        bad.append(f"{k} AP {m[k]['AP']}")
done(bad)

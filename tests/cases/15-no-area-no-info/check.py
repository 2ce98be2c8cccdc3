import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
m, w = metrics(D / "labels.json", perfect([A, B]))
for k in ("AP", "APs"):
    if not m["mask"][k] > 0.99:
        bad.append(f"{k} {m['mask'][k]}")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if r.num_objects != 2:
    bad.append(f"reader: {r.num_objects} objects")
m, w = metrics(D / "labels.json", perfect([A, B]))
if not m["mask"]["AP"] > 0.99:
    bad.append(f"mask AP of perfect predictions {m['mask']['AP']}, warnings {w}")
import json

t = json.loads((D / "labels.json").read_text())
P = lambda b: [b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3]]
for what, extra in (("odd ring", [[1, 2, 3, 4, 5, 6, 7]]), ("empty ring", [[]]), ("null ring", [None])):
    for a, b in zip(t["annotations"], (A, B)):
        a["segmentation"] = [P(b)] + extra if extra else [[str(v) for v in P(b)]]
    m, w = metrics(t, perfect([A, B]))
    if not m["mask"]["AP"] > 0.99:
        bad.append(f"{what}: mask AP {m['mask']['AP']}")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
code, out = cli("check", "labels.json", "--images", "images", cwd=D)
if code == 2:
    if not ("root" in out or "supercategory" in out or "id 0" in out):
        bad.append("refused without saying which entry to remove: " + out.strip())
else:
    d = report(D)
    if sorted(n for n in d.categories.names if n in ("fish", "trap")) != ["fish", "trap"]:
        bad.append(str(d.categories.names))
    if d.report.num_objects != 2:
        bad.append(f"{d.report.num_objects} objects")
done(bad)

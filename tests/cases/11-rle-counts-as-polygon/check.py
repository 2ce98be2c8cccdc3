import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
for i in (1, 2):
    if not any(f"annotation {i}:" in l for l in r.lines):
        bad.append(f"annotation {i} read in silence")
done(bad)

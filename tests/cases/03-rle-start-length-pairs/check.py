import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if (r.num_objects, r.num_ignored) != (1, 1):
    bad.append(f"{r.num_objects} objects, {r.num_ignored} ignored")
if not any("annotation 1" in l and "sum" in l for l in r.lines):
    bad.append("annotation 1 not named with the reason")
if not any("(start, length) pairs" in l for l in r.lines):
    bad.append("not said that the counts look like pairs")
done(bad)

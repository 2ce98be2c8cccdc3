import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if (r.num_images, r.num_objects, r.counts.total()) != (1, 1, 0):
    bad.append(str(r.lines))
done(bad)

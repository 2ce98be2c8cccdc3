import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if r.counts.total() == 0:
    bad.append(f"no fault: {r.num_images} images, {r.num_objects} objects of one picture")
done(bad)

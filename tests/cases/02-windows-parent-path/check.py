import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if (r.num_images, r.num_objects) != (3, 3):
    bad.append(f"{r.num_images} images, {r.num_objects} objects")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
d = report(D)
names = [d.categories.names[i] for i in d.labels.labels.tolist()]
if sorted(names) != ["fish", "trap"]:
    bad.append(str(names))
done(bad)

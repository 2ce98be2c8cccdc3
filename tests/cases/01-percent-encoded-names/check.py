import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
r = report(D).report
if (r.num_images, r.num_objects) != (3, 3):
    bad.append(f"{r.num_images} images, {r.num_objects} objects; expected 3, 3")
from maskrcnn.data.file_names import find_image
import tempfile, unicodedata

f = Path(tempfile.mkdtemp())
for n in ("a+b.png", "x.png", "100%.png"):
    (f / n).touch()
if find_image(f, "100%.png") != "100%.png":
    bad.append("a real percent sign was decoded")
if find_image(f, "a%2Bb.png") != "a+b.png":
    bad.append("a%2Bb.png not found")
if find_image(f, "https://host/data/x.png?token=ab") != "x.png":
    bad.append("URL with a query not found")
(f / unicodedata.normalize("NFC", "\u00e9.png")).touch()
if find_image(f, unicodedata.normalize("NFD", "\u00e9.png")) is None:
    bad.append("other Unicode normal form (macOS zip) not found")
done(bad)

import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import numpy as np, maskrcnn, tempfile

m = maskrcnn.load("nuclei")
z = m.predict(np.zeros((64, 64, 3), np.uint8))
if len(z) or z.to_coco() or z.polygons() or z.rle() or tuple(z.masks().shape) != (0, 64, 64):
    bad.append("not empty")
z.save(Path(tempfile.mkdtemp()) / "z.png")
from maskrcnn.scoring import evaluate_predictions as evaluate_coco

t = dict(
    images=[dict(id=1, width=64, height=48)],
    annotations=[
        dict(id=1, image_id=1, category_id=1, bbox=[8, 8, 20, 16], segmentation=[[8, 8, 28, 8, 28, 24, 8, 24]])
    ],
    categories=[dict(id=1, name="p")],
)
if evaluate_coco(t, []).by_type["mask"].summary["AP"] != 0:
    bad.append("AP of nothing found is not 0")
done(bad)

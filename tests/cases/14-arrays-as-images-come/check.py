import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import numpy as np, maskrcnn
from PIL import Image
from maskrcnn.sources import source_pixels
from maskrcnn.errors import UserError

p = np.array(Image.open(D / "images/a.png"))
rgba = np.dstack([p, np.full(p.shape[:2], 255, np.uint8)])
grey = np.array(Image.fromarray(p).convert("L"))


def same(name, array, want):
    try:
        got = source_pixels(array)
    except UserError as e:
        bad.append(f"{name}: {e}")
        return
    if got.shape != want.shape or np.abs(got.astype(int) - want).max() > 1:
        bad.append(f"{name}: other pixels")


same("uint8", p, p)
same("negative strides", p[::-1][::-1], p)
same("Fortran order", np.asfortranarray(p), p)
same("(H, W)", grey, np.dstack([grey] * 3))
same("(H, W, 1)", grey[..., None], np.dstack([grey] * 3))
same("RGBA", rgba, p)
g16 = grey.astype(np.uint16) * 16
same("uint16 grey, as Pillow reads it", g16, source_pixels(Image.fromarray(g16)))
same("bool", grey > 100, np.dstack([(grey > 100).astype(np.uint8) * 255] * 3))
for name, array, word in (("float 0..1", p / 255.0, "255"), ("(3, H, W)", p.transpose(2, 0, 1), "transpose")):
    try:
        source_pixels(array)
    except UserError as e:
        if word not in str(e).replace("0 to 255", "") and "permute" not in str(e):
            bad.append(f"{name}: no hint how to convert: {e}")
    except Exception as e:
        bad.append(f"{name}: {type(e).__name__}")
m = maskrcnn.load("nuclei")
for n in (-3, 2.5):
    try:
        m.predict(p, max_detections=n)
        bad.append(f"max_detections={n} accepted")
    except UserError:
        pass
    except Exception as e:
        bad.append(f"max_detections={n}: {type(e).__name__}: {e}")
done(bad)

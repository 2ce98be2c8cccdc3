"""Shared by the check.py files. Runs the command line in this process."""

import contextlib, io, json, sys, tempfile, warnings
from pathlib import Path

A, B = (8, 8, 28, 24), (36, 20, 56, 40)


def cli(*args, cwd=None):
    from maskrcnn.cli.main import main

    output = io.StringIO()
    with contextlib.chdir(cwd or "."), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        with warnings.catch_warnings(action="default"):
            code = main([str(a) for a in args])
    return code, output.getvalue()


def report(d):
    """The reader's report of labels.json in d."""
    from maskrcnn.data.coco import read_coco

    return read_coco(d / "labels.json", d / "images", check_files=True)


def rect_rle(box, h=48, w=64):
    from maskrcnn.masks.rle_coco import rle_to_coco
    from maskrcnn.structures import RLE
    import numpy as np

    x1, y1, x2, y2 = box
    counts = [x1 * h + y1]
    for _ in range(x2 - x1):
        counts += [y2 - y1, h - (y2 - y1)]
    counts[-1] = h * w - sum(counts[:-1])
    return rle_to_coco(RLE((h, w), np.array(counts)))


def perfect(boxes, image=1, cat=1, h=48, w=64):
    return [
        dict(
            image_id=image,
            category_id=cat,
            score=0.9,
            bbox=[b[0], b[1], b[2] - b[0], b[3] - b[1]],
            segmentation=rect_rle(b, h, w),
        )
        for b in boxes
    ]


def metrics(labels, results, max_detections=100):
    """Through the reader, as `maskrcnn evaluate` does, if possible; else the plain function."""
    from maskrcnn.scoring import evaluate_predictions as evaluate_coco

    m = evaluate_coco(labels, results, max_detections=max_detections, iou_types=("mask", "box"), say=str)
    return {k: dict(t.summary) for k, t in m.by_type.items()}, list(m.warnings)


def done(problems):
    for p in problems:
        print("PROBLEM:", p)
    print("ok" if not problems else f"{len(problems)} problems")
    sys.exit(1 if problems else 0)

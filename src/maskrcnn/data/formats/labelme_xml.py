"""MIT's LabelMe (the web tool): `Annotations/FOLDER/X.xml` with polygons, or masks in `Masks/FOLDER/`.

http://labelme.csail.mit.edu. Deleted objects are left out; a polygon marked as a bounding box is a box.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np

from maskrcnn.data.formats.bitmaps import foreground
from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import Flat
from maskrcnn.data.formats.xml import number_of, read_xml, size_of, text_of
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.rle import encode_rle

LOOKED_FOR = "MIT's LabelMe (Annotations/ with XML of polygons)"


def recognise(listing: Listing) -> bool:
    """By points or a mask: VOC has polygons of `x1`, `y1`, ..."""
    roots = (_root(listing, name) for name in listing.labels(".xml")[:5])
    return any(root is not None and _has(root, "polygon/pt", "segm") for root in roots)


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name in listing.labels(".xml"):
        root = _root(listing, name)
        if root is None:
            builder.fault(Fault.LABEL_FILE_OTHER, name)
        else:
            _read_file(listing, name, root, builder)
    return builder.content()


def _root(listing: Listing, name: str) -> Element | None:
    try:
        root = read_xml(listing.file(name))
    except UserError:
        return None
    return root if root.tag == "annotation" and _has(root, "polygon", "segm") else None


def _has(root: Element, *shapes: str) -> bool:
    return any(root.find(f"object/{shape}") is not None for shape in shapes)


def _read_file(listing: Listing, name: str, root: Element, builder: ContentBuilder) -> None:
    picture = listing.picture(text_of(root, "filename") or "", _instead(folder_of(name), "Images"))
    stated = size_of(root, "imagesize/nrows", "imagesize/ncols")
    image = builder.add_image(picture, listing.size(picture, stated) or stated, split_of(name))
    for number, item in enumerate(root.iter("object")):
        where, label = f"{name}: object {number}", text_of(item, "name")
        if text_of(item, "deleted") == "1":
            continue
        if item.find("segm") is not None:
            _add_mask(listing, item, where, _instead(folder_of(name), "Masks"), image, builder)
        elif (points := _points(item)) is None:
            builder.fault(Fault.SHAPE_MALFORMED, where)
        elif text_of(item, "type") == "bounding_box":
            builder.add_box(
                image, label, [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])], where
            )
        else:
            builder.add_polygons(image, label, [points], where)


def _instead(folder: str, name: str) -> str:
    """The folder beside Annotations."""
    return "/".join(name if part == "Annotations" else part for part in folder.split("/"))


def _points(item: Element) -> Flat | None:
    values = [number_of(text_of(point, axis)) for point in item.iterfind("polygon/pt") for axis in ("x", "y")]
    good = [value for value in values if value is not None]
    return good if good and len(good) == len(values) else None


def _add_mask(listing: Listing, item: Element, where: str, folder: str, image: int, builder: ContentBuilder) -> None:
    mask = listing.picture(text_of(item, "segm/mask") or "", folder)
    if not listing.has(mask):
        builder.fault(Fault.MASK_FILE, where, "there is none")
        return
    try:
        bitmap = foreground(read_values(listing.file(mask)))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, mask, error)
        return
    if bitmap.any():
        builder.add_rle(image, text_of(item, "name"), encode_rle(bitmap.astype(np.uint8)), where)
    else:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, "its mask is empty")

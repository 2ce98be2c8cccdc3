"""Label images: one picture for each image in which a value is an object and 0 is background; one class.

As Cellpose and StarDist write them (8, 16 or 32 bits; PNG or TIFF). Values need not follow one another, and one value
may have several parts. Either `images/` and `masks/` (or `labels/`) hold files of the same names, or a mask lies beside
its image X (or `X_img.png`) as `X_masks.png`, `X_cp_masks.png`, `X_mask.png`, `X_labels.png`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskrcnn.data.formats import mapillary
from maskrcnn.data.formats.bitmaps import Values
from maskrcnn.data.formats.class_values import ClassValues
from maskrcnn.data.formats.content import UNNAMED, ContentBuilder, LabelContent
from maskrcnn.data.formats.label_map import find_label_map
from maskrcnn.data.formats.listing import Listing, split_of
from maskrcnn.data.image_header import TooManyPixels
from maskrcnn.data.images import is_jpeg, read_values
from maskrcnn.data.report import Fault
from maskrcnn.data.windowed.tiff import is_tiff, opened_tiff
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions, regions_in_bands
from maskrcnn.structures import RLE
from maskrcnn.text import counted

LOOKED_FOR = "label images (masks/ beside images/, or X_masks.png)"

MIN_SHADES, MAX_SHADE = 8, 255
"""Values that a mask with soft edges has at least, and the largest."""

_FOLDERS = ("masks", "labels", "mask", "label")
_OF_IMAGES = ("images", "image", "img", "Images", "Image", "Img", "IMAGES", "IMAGE", "IMG")
_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label")
_ENDING = re.compile(rf"({'|'.join(_ENDINGS)})$")
_NOT_MASKS = re.compile(r"(_cp_outlines|_outlines|_flows|_cp_output|_prob)$")


def recognise(listing: Listing) -> bool:
    if listing.chosen is not None or find_label_map(listing) is not None:
        return False
    return next(pairs(listing), None) is not None and not mapillary.recognise(listing)  # which has `labels/` of classes


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root, [UNNAMED])
    masks = dict(pairs(listing))
    used, values = set(masks.values()), ClassValues()
    for picture in listing.pictures():
        if picture in used or is_mask_name(picture):
            continue
        mask = masks.get(picture)
        image = builder.add_image(picture, listing.size(picture, mask), split_of(picture))
        if mask is not None:
            values.note(_read_mask(listing, mask, image, builder))
        else:
            builder.fault(Fault.MASK_FILE, picture, "there is none")
    _report(values, builder)
    for name in _alone(listing, used):
        builder.fault(Fault.MASK_FILE, name, "no image belongs to it, or that has another mask")
    return builder.content()


def _report(values: ClassValues, builder: ContentBuilder) -> None:
    """Say what numbers make of a class where they are not of objects: of one number that is sure, of several likely."""
    classes, masks = values.found(), counted(values.num_masks, "mask")
    listed = ", ".join(map(str, classes))
    if classes and values.are_one:
        builder.fault(Fault.MASKS_OF_ONE_VALUE, masks, listed)
    elif classes:
        builder.report.note(
            f"values of {masks} may be classes ({listed}: the same few in most masks, mostly in several parts); all of "
            "a value is one object, and --colours takes the parts apart if they are classes"
        )


def _alone(listing: Listing, used: set[str]) -> Iterator[str]:
    """Masks without an image."""
    for name in listing.pictures():
        if name not in used and is_mask_name(name) and not _NOT_MASKS.search(name.rpartition(".")[0]):
            yield name


def pairs(listing: Listing) -> Iterator[tuple[str, str]]:
    """(image, mask) by their names."""
    for name in listing.pictures():
        stem = name.rpartition(".")[0]
        if _NOT_MASKS.search(stem):
            continue
        picture = _image_beside(listing, stem) or _image_in_images(listing, stem)
        if picture is not None and picture != name:
            yield picture, name


def _image_beside(listing: Listing, stem: str) -> str | None:
    plain = _ENDING.sub("", stem)
    if plain == stem:
        return None
    if (picture := listing.picture_of_stem(plain)) or plain != stem.removesuffix("_masks"):
        return picture
    image = f"{plain}_img"  # as in Cellpose's own data
    has_mask_of_its_own = any(listing.picture_of_stem(image + ending) for ending in _ENDINGS)
    return None if has_mask_of_its_own else listing.picture_of_stem(image)


def _image_in_images(listing: Listing, stem: str) -> str | None:
    """`a/masks/b` -> `a/images/b`, for the last folder of such a name; the mask's ending may be there or not."""
    parts = stem.split("/")
    for place in reversed(range(len(parts) - 1)):
        if parts[place].lower() in _FOLDERS:
            for last in (parts[-1], _ENDING.sub("", parts[-1])):
                for folder in _OF_IMAGES:
                    moved = "/".join([*parts[:place], folder, *parts[place + 1 : -1], last])
                    if (picture := listing.picture_of_stem(moved)) is not None:
                        return picture
    return None


def is_mask_name(name: str) -> bool:
    stem = name.rpartition(".")[0]
    return bool(_ENDING.search(stem) or _NOT_MASKS.search(stem)) or any(
        part.lower() in _FOLDERS for part in name.split("/")[:-1]
    )


def _read_mask(listing: Listing, name: str, image: int, builder: ContentBuilder) -> list[tuple[int, RLE]]:
    """The values and their pixels."""
    try:
        regions = list(_regions(listing.file(name), name))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, name, error)
        return []
    for value, rle in regions:
        builder.add_rle(image, UNNAMED, rle, f"{name}: value {value}")
    return regions


def _regions(path: Path, name: str) -> Iterator[tuple[int, RLE]]:
    """The values of a label image with their pixels; of a huge TIFF band by band."""
    if is_jpeg(path):
        raise UserError(f"{name}: expected a label image, got a JPEG, which changes the numbers of pixels; export PNG")
    try:
        labels = as_labels(read_values(path), name)
        _require_sharp(labels, name)
        yield from labelled_regions(labels)
    except TooManyPixels:
        if not is_tiff(path):
            raise
        with opened_tiff(path) as tiff:
            if tiff is None:
                raise
            whole = tiff
            yield from regions_in_bands(lambda window: as_labels(whole.values(window), name), whole.size)


def _require_sharp(labels: Values, where: str) -> None:
    """Refuse a mask that is drawn with soft edges, in which each shade would be an object.

    It is known by this: one value has most of the pixels, and none of the others fills a square of 3 pixels.
    """
    if not labels.size or labels.max() > MAX_SHADE or labels.min() < 0:
        return
    counts = np.bincount(labels.astype(np.uint8).ravel())
    counts[0], num_values = 0, np.count_nonzero(counts[1:])
    if num_values < MIN_SHADES or 2 * counts.max() <= counts.sum():
        return
    if np.array_equal(np.unique(_in_squares(labels)), [counts.argmax()]):
        raise UserError(
            f"{where}: expected a label image, one number for an object, got soft edges ({num_values} values); save "
            "it without smoothing"
        )


def _in_squares(labels: Values) -> Values:
    """(n,) values, not zero, of the pixels whose eight neighbours have the same."""
    height, width = labels.shape
    centre = labels[1:-1, 1:-1]
    same = centre != 0
    for y in range(3):
        for x in range(3):
            same &= labels[y : y + height - 2, x : x + width - 2] == centre
    return np.asarray(centre[same])


def as_labels(values: Values, where: str) -> Values:
    """(H, W) whole numbers.

    Raises:
        UserError: the picture has colours (JPEG, or a mask of another form), or its numbers are not whole.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    elif values.ndim == 3 and values.shape[2] >= 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]  # grey, saved as colours
    if values.ndim != 2:
        raise UserError(
            f"{where}: expected a label image, one number for a pixel, got colours; export 16-bit labels, or name the "
            "colours with --colours"
        )
    if values.dtype.kind == "f":
        whole = values.astype(np.int64)
        if not (np.isfinite(values).all() and (whole == values).all()):
            raise UserError(f"{where}: expected a label image of whole numbers, got others; export 16-bit labels")
        return whole
    return values

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from maskrcnn.file_kinds import kind_of


def written(image_format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, image_format)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("image_format", "what"),
    [
        ("JPEG", "a JPEG picture"),
        ("PNG", "a PNG picture"),
        ("WEBP", "a WebP picture"),
        ("TIFF", "a TIFF picture"),
        ("BMP", "a BMP picture"),
        ("GIF", "a GIF picture"),
        ("JPEG2000", "a JPEG 2000 picture"),
        ("PDF", "a PDF"),
    ],
)
def test_pictures_that_pillow_writes(image_format: str, what: str) -> None:
    assert kind_of(written(image_format)).what == what


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def numpy_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video (MP4 or MOV)"),
        (b"\0\0\0\x14ftypqt  ", "a video (MP4 or MOV)"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heic", "a HEIC picture"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "an AVIF picture"),
        (b"RIFF\0\0\0\0AVI LIST", "a video (AVI)"),
        (b"\x1aE\xdf\xa3\x01", "a video (Matroska or WebM)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", "an HTML page"),
        (b"<HTML><head>", "an HTML page"),
        (b'<?xml version="1.0"?>', "an XML file"),
        (json.dumps({"images": []}).encode(), "a JSON file"),
        (b" [1]", "a JSON file"),
        (pickle.dumps({}, 2), "a pickle"),
        (pickle.dumps({}), "a pickle"),
        (zipped(), "a zip archive (or a .pth)"),
        (numpy_array(), "a NumPy array"),
        (b"\x40\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"', "a .safetensors file"),
        (b"", "an empty file"),
        (b"\x1b[2J", r"a file that starts with b'\x1b[2J'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_kinds(start: bytes, what: str) -> None:
    assert kind_of(start).what == what

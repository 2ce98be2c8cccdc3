"""What a file is, told from its first bytes: for messages about files that are not what was expected."""

from __future__ import annotations

from dataclasses import dataclass

START = 512
"""How many of a file's first bytes are looked at."""

_PICTURE = "save it as PNG"
_VIDEO = "save its frames as pictures first"
_DOWNLOAD = "download it again"
_UNPACK = "unpack it first"


@dataclass(frozen=True)
class FileKind:
    """What a file is, and what to do with it where something else was expected; the advice may be empty."""

    what: str
    advice: str = ""


JSON = FileKind("a JSON file")
PICKLE = FileKind("a pickle")
SAFETENSORS = FileKind("a .safetensors file")
ZIP = FileKind("a zip archive (or a .pth)", _UNPACK)

_SIGNATURES: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"\xff\xd8\xff", FileKind("a JPEG picture")),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture")),
    (8, b"WEBP", FileKind("a WebP picture")),
    (0, b"II*\0", FileKind("a TIFF picture")),
    (0, b"MM\0*", FileKind("a TIFF picture")),
    (0, b"II+\0", FileKind("a TIFF picture")),
    (0, b"MM\0+", FileKind("a TIFF picture")),
    (0, b"GIF8", FileKind("a GIF picture", _PICTURE)),
    (4, b"ftyphei", FileKind("a HEIC picture", _PICTURE)),
    (4, b"ftyphev", FileKind("a HEIC picture", _PICTURE)),
    (4, b"ftypmif", FileKind("a HEIC picture", _PICTURE)),
    (4, b"ftypmsf", FileKind("a HEIC picture", _PICTURE)),
    (4, b"ftypavi", FileKind("an AVIF picture", _PICTURE)),
    (4, b"ftyp", FileKind("a video (MP4 or MOV)", _VIDEO)),
    (8, b"AVI ", FileKind("a video (AVI)", _VIDEO)),
    (0, b"\x1aE\xdf\xa3", FileKind("a video (Matroska or WebM)", _VIDEO)),
    (0, b"\0\0\x01\xba", FileKind("a video (MPEG)", _VIDEO)),
    (0, b"\0\0\x01\xb3", FileKind("a video (MPEG)", _VIDEO)),
    (4, b"jP  ", FileKind("a JPEG 2000 picture", _PICTURE)),
    (4, b"JXL ", FileKind("a JPEG XL picture", _PICTURE)),
    (0, b"\xff\x0a", FileKind("a JPEG XL picture", _PICTURE)),
    (0, b"8BPS", FileKind("a Photoshop file", _PICTURE)),
    (128, b"DICM", FileKind("a DICOM file", _PICTURE)),
    (0, b"%PDF", FileKind("a PDF", "save its pages as pictures first")),
    (0, b"version https://git-lfs", FileKind("a Git LFS pointer", "get the file itself with: git lfs pull")),
    (0, b"\x1f\x8b", FileKind("a gzip archive", _UNPACK)),
    (0, b"BZh", FileKind("a bzip2 archive", _UNPACK)),
    (0, b"\xfd7zXZ", FileKind("an xz archive", _UNPACK)),
    (0, b"7z\xbc\xaf", FileKind("a 7z archive", _UNPACK)),
    (0, b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (257, b"ustar", FileKind("a tar archive", _UNPACK)),
    (0, b"PK\x03\x04", ZIP),
    (0, b"\x89HDF", FileKind("an HDF5 file")),
    (0, b"\x93NUMPY", FileKind("a NumPy array")),
    (0, b"\x80\x02", PICKLE),
    (0, b"\x80\x03", PICKLE),
    (0, b"\x80\x04", PICKLE),
    (0, b"\x80\x05", PICKLE),
    (8, b'{"', SAFETENSORS),
    (0, b"BM", FileKind("a BMP picture")),
)
"""Offset, bytes, kind; the first that fits counts."""

_TEXTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"<!doctype html", FileKind("an HTML page", _DOWNLOAD)),
    (b"<html", FileKind("an HTML page", _DOWNLOAD)),
    (b"<svg", FileKind("an SVG drawing", _PICTURE)),
    (b"<?xml", FileKind("an XML file")),
    (b"{", JSON),
    (b"[", JSON),
)
"""The same for text, which may begin with blanks and be in capitals."""


def kind_of(start: bytes) -> FileKind:
    """The kind of a file with these first bytes, `START` of them or all."""
    return known_kind(start) or FileKind(f"a file that starts with {start[:8]!r}")


def known_kind(start: bytes) -> FileKind | None:
    """The same; None where it is none of those in the tables."""
    if not start:
        return FileKind("an empty file", _DOWNLOAD)
    for offset, signature, kind in _SIGNATURES:
        if start[offset : offset + len(signature)] == signature:
            return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for signature, kind in _TEXTS if text.startswith(signature)), None)

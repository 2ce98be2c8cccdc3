"""A seeded generator of damaged files: images and annotation files that may hold anything."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

Generator = np.random.Generator

# --- images -----------------------------------------------------------------------------------------------------

FORMATS: list[tuple[str, str, dict[str, Any]]] = [
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "F", {}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
]


def whole_image(generator: Generator) -> bytes:
    """An undamaged file of a random format, with an EXIF block now and then."""
    image_format, mode, options = FORMATS[generator.integers(len(FORMATS))]
    pixels = generator.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    if generator.random() < 0.3 and image_format != "BMP":
        exif = Image.Exif()
        exif[0x0112] = int(generator.integers(1, 9))
        options = options | {"exif": exif}
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def flip_bytes(content: bytes, generator: Generator) -> bytes:
    """One to twenty bytes become others, in the header (first 200) more often than behind it."""
    damaged = bytearray(content)
    end = min(len(damaged), 200) if generator.random() < 0.7 else len(damaged)
    for position in generator.integers(0, end, generator.integers(1, 21)):
        damaged[position] = generator.integers(256)
    return bytes(damaged)


def cut_off(content: bytes, generator: Generator) -> bytes:
    return content[: generator.integers(len(content))]


def cut_out(content: bytes, generator: Generator) -> bytes:
    first, second = sorted(generator.integers(0, len(content) + 1, 2).tolist())
    return content[:first] + content[second:]


def repeat_part(content: bytes, generator: Generator) -> bytes:
    first, second = sorted(generator.integers(0, len(content) + 1, 2).tolist())
    return content[:second] + content[first:]


def absurd_numbers(content: bytes, generator: Generator) -> bytes:
    """Extreme 16- or 32-bit numbers of either byte order, where headers keep sizes, offsets and counts."""
    damaged = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        value = int(generator.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 65500, 100_000]))
        size = int(generator.choice([2, 4]))
        position = int(generator.integers(2, max(3, min(len(damaged), 120))))
        code = ("<" if generator.random() < 0.5 else ">") + ("H" if size == 2 else "I")
        damaged[position : position + size] = struct.pack(code, value & (2 ** (8 * size) - 1))
    return bytes(damaged)


def absurd_size(content: bytes, generator: Generator) -> bytes:
    """A well-formed header that claims up to 2^31 x 2^31 pixels (PNG and BMP, which need no more than that)."""
    width, height = (int(2 ** generator.uniform(0, 31)) for _ in range(2))
    if generator.random() < 0.5:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        return b"\x89PNG\r\n\x1a\n" + chunk + content[33:]
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(content), 0, 0, 54) + sizes + content


def other_file(content: bytes, generator: Generator) -> bytes:
    """No image at all, or only the first bytes of one."""
    start = generator.choice([0, 2, 4, 8, 12])
    return content[:start] + generator.bytes(int(generator.integers(0, 300)))


def untouched(content: bytes, generator: Generator) -> bytes:
    """Damage is then only that the extension is wrong."""
    return content


IMAGE_MUTATIONS: list[Callable[[bytes, Generator], bytes]] = [
    flip_bytes,
    flip_bytes,
    cut_off,
    cut_out,
    repeat_part,
    absurd_numbers,
    absurd_numbers,
    absurd_size,
    other_file,
    untouched,
]


def mutated_images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(extension, content) of damaged images."""
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        mutation = IMAGE_MUTATIONS[number % len(IMAGE_MUTATIONS)]
        extension = str(generator.choice([".png", ".jpg", ".tif", ".bmp", ".webp", ".txt", ""]))
        yield extension, mutation(whole_image(generator), generator)


# --- annotation files -------------------------------------------------------------------------------------------


def whole_annotations(generator: Generator) -> dict[str, Any]:
    """An undamaged COCO file for the images `0.png` to `3.png`, 31 x 24 each, with every kind of mask.

    The class "a" has keypoints.
    """
    images = [{"id": i, "file_name": f"{i}.png", "width": 31, "height": 24} for i in range(4)]
    annotations = []
    for number in range(8):
        x, y = (int(v) for v in generator.integers(0, 15, 2))
        zeros = x * 24 + y
        masks = [
            [[x, y, x + 6, y, x + 6, y + 5, x, y + 5]],
            {"size": [24, 31], "counts": [zeros, 5, 24 * 31 - zeros - 5]},
            {"size": [24, 31], "counts": _compressed([zeros, 5, 24 * 31 - zeros - 5])},
        ]
        box = [x, y, 6, 5] if number % 3 == 0 else [x, y, 1, 5]
        base = {"id": number, "image_id": number % 4, "category_id": 1 + number % 2, "iscrowd": int(number == 7)}
        points = {} if number % 2 else {"keypoints": [x, y, 2, x + 1, y + 1, 1, 0, 0, 0], "num_keypoints": 2}
        annotations.append(base | {"bbox": box, "area": 30, "segmentation": masks[number % 3]} | points)
    return {
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": 1, "name": "a", "keypoints": ["tip", "left_end", "right_end"], "skeleton": [[1, 2], [1, 3]]},
            {"id": 2, "name": "b"},
        ],
    }


def _compressed(counts: list[int]) -> str:
    """Run lengths as COCO's string (of three counts: no differences yet)."""
    text = ""
    for value in counts:
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _strange_value(generator: Generator) -> Any:
    """A new object at every call, since mutations may change it."""
    values = [
        *(None, True, False, 0, -1, 1, 3.5, -0.0, 1e308, -1e308, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 10**400),
        *(float("nan"), float("inf"), float("-inf")),
        *("", "x", "1", "\0", "../../etc/passwd", "/etc/passwd", "C:\\x", "\ud800", "é" * 300, "\x1b[2J", "0.png"),
        *([], {}, [[]], [[[]]], [None], [1], [1, 2, 3, 4], [0.5] * 7, [[0, 0, 5, 5]], ["a"] * 6, [float("nan")] * 6),
        *({"size": [24, 31]}, {"counts": "x"}, {"size": [2**31, 2**31], "counts": [2**62]}, {"a": {"b": {}}}),
        *([1e30] * 8, [[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9]], [[0, 0] * 5000], _nested(60), _nested(700)),
    ]
    return values[generator.integers(len(values))]


def _places(value: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value, down to a depth of 20."""
    if depth == 20:
        return []
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key], depth + 1)]]


def strange_values(content: dict[str, Any], generator: Generator) -> str:
    """One to five values anywhere become strange ones."""
    for _ in range(generator.integers(1, 6)):
        places = _places(content)
        container, key = places[generator.integers(len(places))]
        container[key] = _strange_value(generator)
    return json.dumps(content)


def missing_keys(content: dict[str, Any], generator: Generator) -> str:
    for _ in range(generator.integers(1, 6)):
        places = _places(content)
        container, key = places[generator.integers(len(places))]
        del container[key]
        if not content:
            break
    return json.dumps(content)


def repeated_entries(content: dict[str, Any], generator: Generator) -> str:
    for name in ("images", "annotations", "categories"):
        if generator.random() < 0.5:
            content[name] += content[name][: generator.integers(1, 4)]
    return json.dumps(content)


def strange_numbers(content: dict[str, Any], generator: Generator) -> str:
    """A third of all numbers become others."""
    for container, key in _places(content):
        if isinstance(container[key], int | float) and generator.random() < 0.3:
            container[key] = float(generator.normal(0, 10.0 ** generator.integers(0, 12)))
    return json.dumps(content)


def strange_strings(content: dict[str, Any], generator: Generator) -> str:
    """All strings, RLE among them, have a character replaced, dropped or added."""
    for container, key in _places(content):
        value = container[key]
        if isinstance(value, str) and value:
            position = int(generator.integers(len(value)))
            middle = str(generator.choice(["", "~", "0", "o", "/", "é", "\n", value]))
            container[key] = value[:position] + middle + value[position + 1 :]
    return json.dumps(content)


def broken_text(content: dict[str, Any], generator: Generator) -> str:
    """The text itself is cut, repeated or hit by single characters."""
    text = json.dumps(content)
    position = int(generator.integers(len(text)))
    extra = str(generator.choice(["", "{", "]", '"', ",", "[" * 100_000, "9" * 5000, "\0", "NaN", "e", '{"a":' * 5000]))
    return text[:position] + extra + text[position + int(generator.integers(0, 3)) :]


def other_json(content: dict[str, Any], generator: Generator) -> str:
    return json.dumps(_strange_value(generator))


JSON_MUTATIONS: list[Callable[[dict[str, Any], Generator], str]] = [
    strange_values,
    strange_values,
    strange_values,
    missing_keys,
    repeated_entries,
    strange_numbers,
    strange_strings,
    broken_text,
    broken_text,
    other_json,
]


def mutated_annotations(count: int, seed: int) -> Iterator[bytes]:
    """Contents of damaged annotation files; every seventh is also hit as bytes."""
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        text = JSON_MUTATIONS[number % len(JSON_MUTATIONS)](whole_annotations(generator), generator)
        content = text.encode("utf-8", "surrogatepass")
        yield flip_bytes(content, generator) if number % 7 == 0 and content else content

"""Object stores (S3, Google Cloud, Azure, ...) through fsspec: their listings and the bytes of their objects."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maskrcnn.errors import UserError

PROTOCOLS = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "hdfs", "http", "https", "file", "memory"}
)
"""What an address may begin with. fsspec has more, among them some that write files or chain others."""

LARGEST_OBJECT = 512 << 20
"""Bytes; objects are read as a whole."""


def is_address(name: str) -> bool:
    """Whether this is the address of an object and no path."""
    return "://" in name


def listed(address: str) -> Iterator[str]:
    """The addresses of what is below a folder or fits a pattern; of an object its own.

    Of a listing, one folder is held at a time.

    Raises:
        UserError: nothing there, or a store that cannot be asked.
    """
    with _asking(address):
        store, path = _store(address)
        if glob.has_magic(path) and not store.exists(path):
            yield from map(store.unstrip_protocol, store.glob(path))
        elif store.isfile(path):
            yield address
        elif not store.isdir(path):
            raise UserError(f"{address}: no such object or folder; check the address")
        else:
            for folder, _, names in store.walk(path, on_error="raise"):
                yield from (store.unstrip_protocol(f"{folder}/{name}") for name in sorted(names))


def lines_of(address: str) -> Iterator[str]:
    """The lines of an object, without their ends. Raises as `listed`."""
    with _asking(address):
        store, path = _store(address)
        with store.open(path, "r", encoding="utf-8", errors="surrogateescape") as lines:
            yield from (line.rstrip("\r\n") for line in lines)


def read_object(address: str) -> bytes:
    """The bytes of an object.

    Raises:
        UserError: it cannot be had, is a folder or a device, or larger than `LARGEST_OBJECT`.
    """
    with _asking(address):
        store, path = _store(address)
        facts = store.info(path)
        if facts["type"] != "file":
            raise UserError(f"{address}: expected an image, got a folder or a device; give the address of an object")
        with store.open(path, "rb") as file:
            content = bytes(file.read(min(facts.get("size") or LARGEST_OBJECT, LARGEST_OBJECT) + 1))
    if len(content) > LARGEST_OBJECT:
        raise UserError(f"{address}: an object of more than {LARGEST_OBJECT >> 20} MiB; copy it, and give its path")
    return content


def _store(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in there."""
    protocol = address.partition("://")[0].lower()
    if protocol not in PROTOCOLS or "::" in address:
        raise UserError(f"{address}: expected an address that begins with one of {', '.join(sorted(PROTOCOLS))}")
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UserError(f"{address}: addresses need the library fsspec; install it: pip install fsspec") from None
    store, path = url_to_fs(address, use_listings_cache=False)
    return store, path


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """Whatever a store answers but what was asked for is an error of the user; each has exceptions of its own."""
    try:
        yield
    except (UserError, GeneratorExit):
        raise
    except FileNotFoundError:
        raise UserError(f"{address}: no such object; check the address") from None
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{address}: the store cannot be asked ({reason}); check address and credentials") from error

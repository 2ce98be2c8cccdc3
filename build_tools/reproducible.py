"""Builds the package as setuptools does, so that the same sources give the same bytes.

Time stamps, permissions and the order of the files depend on when, by whom and where an archive is packed; here they
are fixed. `SOURCE_DATE_EPOCH` sets the time stamp, as other build tools understand it.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401  (what pip asks for besides)
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_EARLIEST = 315_532_800
"""1980, when the time of zip archives begins."""


def build_wheel(folder: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """As setuptools' own, packed anew; returns the name of the file."""
    name = build_meta.build_wheel(folder, config_settings, metadata_directory)
    _repack_zip(Path(folder) / name)
    return name


def build_sdist(folder: str, config_settings: Any = None) -> str:
    """As setuptools' own, packed anew; returns the name of the file."""
    name = build_meta.build_sdist(folder, config_settings)
    _repack_tar(Path(folder) / name)
    return name


def _time_stamp() -> int:
    return max(_EARLIEST, int(os.environ.get("SOURCE_DATE_EPOCH", _EARLIEST)))


def _repack_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in sorted(archive.namelist())}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, time.gmtime(_time_stamp())[:6])
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(entry, content)


def _repack_tar(path: Path) -> None:
    unpacked = path.with_suffix("")
    with tarfile.open(path) as archive, tarfile.open(unpacked, "w", format=tarfile.PAX_FORMAT) as anew:
        for entry in sorted(archive.getmembers(), key=lambda entry: entry.name):
            if entry.isfile():
                plain = tarfile.TarInfo(entry.name)
                plain.size, plain.mode, plain.mtime = entry.size, 0o644, _time_stamp()
                anew.addfile(plain, archive.extractfile(entry))
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, _time_stamp()) as packed:
        packed.write(unpacked.read_bytes())
    unpacked.unlink()

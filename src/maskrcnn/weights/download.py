"""One file over HTTP that arrives whole or not at all, however unreliable the connection is.

A download that breaks off continues at its last byte, within a call and in the next. The file takes its name only when
its length and, where known, its SHA-256 are right.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from maskrcnn.errors import UserError
from maskrcnn.files import PARTIAL_SUFFIX

TIMEOUT = 20.0
"""Seconds without a byte after which a connection counts as dead."""
SLOWEST = 1000.0
"""Bytes per second, over `TIMEOUT`, below which it counts as dead too."""
ATTEMPTS = 4
"""In a row that brought nothing new before the download is given up."""
PAUSE = 1.0
"""Seconds before the second attempt, twice that before the third, ..."""
PATIENCE = 3600.0
"""Seconds to wait for another process that downloads the same file."""
LARGEST = 4 * 2**30
"""Bytes; no model is larger, but a broken server may never stop."""

_BLOCK = 1 << 16
_RETRIED = (408, 416, 425, 429)
"""Answers of the 400s that may be better next time."""


def download(url: str, path: Path, sha256: str = "") -> None:
    """Get `url` and put it at `path`, unless it is there already.

    Args:
        url: HTTP or HTTPS.
        path: missing folders are made.
        sha256: hexadecimal, the whole or its beginning; empty if it is not known.

    Raises:
        UserError: no connection, an answer that is no file, one of the wrong length or content, or no place to put it.
    """
    partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE):
            if path.exists():  # another process has got it meanwhile
                return
            if not sha256:  # nothing would tell whether an older beginning is of the same file
                partial.unlink(missing_ok=True)
            _fetch(url, partial)
            _check(url, partial, sha256)
            _settle(partial, path)
    except (OSError, HTTPException, Timeout) as error:
        raise UserError(
            f"{url}: cannot be downloaded ({_reason(error)}); check the network and try again, what has arrived is "
            f"kept; or get it by other means and put it at {path}"
        ) from None


def _fetch(url: str, partial: Path) -> None:
    """Attempt after attempt, as long as each brings something or is one of the first."""
    fruitless = 0
    while True:
        before = _size(partial)
        try:
            if _attempt(url, partial):
                return
            raise ConnectionError(f"the connection broke off after {_size(partial)} bytes")
        except (OSError, HTTPException) as error:
            fruitless = 0 if _size(partial) > before else fruitless + 1
            if fruitless == ATTEMPTS or not _may_pass(error):
                raise
            time.sleep(PAUSE * fruitless)


def _attempt(url: str, partial: Path) -> bool:
    """Add to what is there, or start anew if the server will not; whether the file is whole now."""
    start = _size(partial)
    request = Request(url, headers={"User-Agent": "maskrcnn", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return _ends_here(error, partial, start)
        raise
    with response:
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0
        length = response.length  # None where the server does not say
        with partial.open("ab" if start else "wb") as file:
            _copy(response, file)
    return length is None or _size(partial) == start + length


def _ends_here(answer: HTTPError, partial: Path, start: int) -> bool:
    """The server has nothing after `start` bytes: the file is whole, or was another one."""
    total = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
    if total is not None and int(total[1]) == start:
        return True
    partial.unlink()
    raise answer


def _copy(response: HTTPResponse, file: BinaryIO) -> None:
    since, received = time.monotonic(), 0
    while block := response.read1(_BLOCK):
        file.write(block)
        received += len(block)
        elapsed = time.monotonic() - since
        if elapsed > TIMEOUT:
            if received < SLOWEST * elapsed:
                raise TimeoutError(f"only {received / elapsed:.0f} bytes a second")
            since, received = time.monotonic(), 0
        if file.tell() > LARGEST:
            raise OSError(f"more than {LARGEST} bytes")


def _check(url: str, partial: Path, sha256: str) -> None:
    with partial.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        partial.unlink()
        raise UserError(
            f"{url}: the server sent something else than the published file (SHA-256 {found[:16]}..., expected "
            f"{sha256[:16]}...); try again later or from another network"
        )


def _settle(partial: Path, path: Path) -> None:
    """The file reaches the disk before it takes its name."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may end better: not where the server says that there is no such file."""
    return not isinstance(error, HTTPError) or error.code >= 500 or error.code in _RETRIED


def _reason(error: Exception) -> str:
    """One line."""
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return " ".join(str(getattr(error, "reason", "") or error or type(error).__name__).split())

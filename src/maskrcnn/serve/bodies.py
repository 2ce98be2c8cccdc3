"""The body of a request: read within limits of bytes and time, and the picture found in it."""

from __future__ import annotations

import asyncio
from email.message import Message

from starlette.requests import Request

from maskrcnn.data.channel_files import read_pixels_of
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.images import TooManyPixels
from maskrcnn.errors import UserError
from maskrcnn.serve.problems import ClientGone, Problem
from maskrcnn.serve.settings import BYTES_PER_SECOND, MAX_PARTS, ServeSettings
from maskrcnn.structures.masks import ByteArray

_MAX_PART_HEADER = 8192


async def read_body(request: Request, settings: ServeSettings) -> bytes:
    """All bytes of the body.

    Raises:
        Problem: 413, more than `settings.max_body`; 408, too slow; 415, compressed once more.
        ClientGone: the connection was closed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "expected a body without content encoding; pictures are compressed already")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > settings.max_body:
        raise _too_large(settings)
    body, now = bytearray(), asyncio.get_running_loop().time
    started = now()
    while True:
        try:
            async with asyncio.timeout_at(started + settings.patience + len(body) / BYTES_PER_SECOND):
                message = await request.receive()
        except TimeoutError:
            raise Problem(408, "the body came too slowly; try again", {"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > settings.max_body:
            raise _too_large(settings)
        if not message.get("more_body"):
            return bytes(body)


def media_type(request: Request) -> tuple[str, str | None]:
    """The kind of the body, in small letters, and the boundary of a multipart one; octets where it does not say."""
    header = Message()
    header["Content-Type"] = request.headers.get("content-type") or "application/octet-stream"
    boundary = header.get_boundary()
    return header.get_content_type(), boundary


def picture_in(body: bytes, kind: str, boundary: str | None) -> bytes:
    """The bytes of the picture: the body itself, or the part `file` of a multipart one.

    Raises:
        Problem: 415, a body of another kind; 400, one that is not put together as it says.
    """
    if kind == "multipart/form-data":
        return _file_part(body, boundary)
    if kind.startswith("image/") or kind in ("application/octet-stream", "application/x-www-form-urlencoded"):
        return body
    raise Problem(415, "expected the bytes of an image file, or multipart/form-data with a part named file")


def decode(picture: bytes, max_pixels: int, channels: Channels = RGB) -> ByteArray:
    """(H, W, C) uint8, as every picture is read (`data.channel_files`).

    Raises:
        Problem: 413, more pixels than `max_pixels` by its header; 400, no image or a broken one.
    """
    try:
        return read_pixels_of(picture, "image", channels, max_pixels)
    except TooManyPixels:
        raise Problem(413, f"the image claims more than {max_pixels} pixels, the limit of this server") from None
    except UserError as error:
        raise Problem(400, str(error)) from None


def _too_large(settings: ServeSettings) -> Problem:
    return Problem(413, f"expected at most {settings.max_body} bytes; send a smaller or more compressed picture")


def _file_part(body: bytes, boundary: str | None) -> bytes:
    """RFC 7578, in the time that searching the body takes, and without a file on the disk."""
    if not boundary:
        raise Problem(400, "multipart/form-data without a boundary; let the library that sends it write the header")
    most = MAX_PARTS + 2  # and what is before the first and behind the last
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"), most)
    if len(pieces) > most:
        raise Problem(400, f"expected at most {MAX_PARTS} parts; send one picture a request")
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Problem(400, "the multipart body is incomplete; send it again")
    parts = dict(map(_part, pieces[1:-1]))
    if set(parts) != {"file"} or len(pieces) > 3:
        raise Problem(422, "expected one part, named file; options belong into the address, behind a question mark")
    return parts["file"]


def _part(piece: bytes) -> tuple[str, bytes]:
    """The name of a part and its content."""
    head, blank_line, content = piece.partition(b"\r\n\r\n")
    if not blank_line or len(head) > _MAX_PART_HEADER:
        raise Problem(400, "a part of the multipart body has no end of its header; send it again")
    disposition = Message()
    for line in head.decode("latin-1").split("\r\n"):
        field, colon, value = line.partition(":")
        if colon and field.strip().lower() == "content-disposition":
            disposition["Content-Disposition"] = value.strip()
    name = disposition.get_param("name", "", "content-disposition")
    return name if isinstance(name, str) else "", content

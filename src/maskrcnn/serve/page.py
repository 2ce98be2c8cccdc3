"""The files of the page, which come with the package: nothing is fetched from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class PageFile:
    """One file.

    Attributes:
        name: in the folder `static`.
        media_type: of its content.
    """

    name: str
    media_type: str

    def content(self) -> bytes:
        """Its bytes."""
        return _content(self.name)


FILES = {
    "/": PageFile("index.html", "text/html; charset=utf-8"),
    "/page.css": PageFile("page.css", "text/css; charset=utf-8"),
    "/page.js": PageFile("page.js", "text/javascript; charset=utf-8"),
    "/masks.js": PageFile("masks.js", "text/javascript; charset=utf-8"),
    "/example.png": PageFile("example.png", "image/png"),
    "/openapi.json": PageFile("openapi.json", "application/json"),
}
"""By address; no other file can be reached."""


@cache
def _content(name: str) -> bytes:
    return files("maskrcnn.serve").joinpath("static", name).read_bytes()

"""Names of image files, as annotation files state them.

Labelling tools write names that are right on the machine of the labels alone: absolute paths, Windows' backslashes, a
folder such as `images/` in front. What counts is then the longest end of the name that is in the folder of images.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_LONGEST_END = 8
"""Parts of a path; more are not looked for, since a name may consist of a million."""


def find_image(folder: Path, stated: str) -> str | None:
    """The name, relative to `folder`, of the file that `stated` means; None when there is no such file."""
    parts = re.split(r"[/\\]", stated)[-_LONGEST_END:]
    candidates = [stated, *("/".join(parts[first:]) for first in range(len(parts)))]
    return next((name for name in candidates if is_safe_name(name) and os.path.isfile(folder / name)), None)


def is_safe_name(name: str) -> bool:
    """Whether a name stays inside the folder it is joined to, on any system."""
    if not name or "\0" in name or name.startswith(("/", "\\")) or ":" in name[1:2]:
        return False
    return ".." not in re.split(r"[/\\]", name) and _is_encodable(name)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

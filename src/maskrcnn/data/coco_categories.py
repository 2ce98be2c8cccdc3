"""COCO's `categories`, and what tools write there besides the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.structures import Categories
from maskrcnn.text import brief, one_line

Entry = Mapping[str, Any]


def read_categories(entries: list[Any], used: set[int], report: DataReport) -> Categories:
    """The classes.

    Args:
        entries: the list `categories`.
        used: the class ids of the annotations.
        report: takes down what is wrong.

    Raises:
        UserError: an entry without id or name, an id or a name that appears twice, or annotations that count the
            classes otherwise.
    """
    require_usable(entries, report.source)
    _require_one_count({_id_of(entry) for entry in entries}, used, report)
    try:
        return Categories.from_coco({**entry, "id": _id_of(entry)} for entry in _without_root(entries, used, report))
    except UserError as error:
        raise UserError(f"{report.source}: {one_line(str(error))}") from None


def require_usable(entries: list[Any], source: str) -> None:
    """Refuse a list without any, and an entry without id or name."""
    if not entries:
        raise UserError(f"{source}: expected at least one entry in categories, got none; name the classes")
    for entry in entries:
        if _id_of(entry) is None or not _is_printable(entry.get("name")):
            raise UserError(
                f"{source}: expected categories with an id and a printable name, got {brief(entry)}; correct this entry"
            )


def _require_one_count(stated: set[int | None], used: set[int], report: DataReport) -> None:
    """Annotations that count K classes from 0 where the list counts from 1 would all be of the class before."""
    number = len(stated)
    if number > 1 and stated == set(range(1, number + 1)) and 0 in used and used <= set(range(number)):
        raise UserError(
            f"{report.source}: expected category_id from 1 to {number}, as in categories, but the annotations count "
            f"from 0 to {number - 1}, so that each would get the class before its own; number both alike"
        )


def _without_root(entries: list[Entry], used: set[int], report: DataReport) -> list[Entry]:
    """The classes without the root that Roboflow puts above them, where it has the name of one of them.

    Under another name it is a class like others without objects: leaving it out would shift nothing, but it might as
    well be one that a person has listed.
    """
    above = {entry.get("supercategory") for entry in entries if isinstance(entry.get("supercategory"), str)}
    times = Counter(entry["name"] for entry in entries)
    kept = []
    for entry in entries:
        is_root = entry.get("supercategory") in (None, "", "none") and entry["name"] in above
        if is_root and _id_of(entry) not in used and len(entries) > 1:
            where = f"category {_id_of(entry)} ({one_line(entry['name'])})"
            if times[entry["name"]] > 1:
                report.add(Fault.ROOT_CATEGORY_TWICE, where)
                continue
            report.add(Fault.ROOT_CATEGORY, where)
        kept.append(entry)
    return kept


def _id_of(entry: Any) -> int | None:
    return id_number(entry.get("id")) if isinstance(entry, dict) else None


def _is_printable(name: Any) -> bool:
    return isinstance(name, str) and name.isprintable() and not name.isspace() and name != ""

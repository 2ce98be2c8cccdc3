"""MIT's LabelMe: a file of a public test suite. Areas: polygons by pycocotools, masks by their alpha."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data.formats.scenes import labelme_xml, picture, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault

ReadForm = Callable[[Path, str], LabelContent]


def test_a_sample(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Polygons of 6, 239, 87 and 129 pixels, masks of 10 and 130, and a bounding box, which is ignored."""
    result = found(read_form(shared / "data/formats/labelme_xml_mit", "labelme-xml"))
    assert result.objects == dict.fromkeys(["hg", "license plate", "m1", "o1", "q1", "window"], 1)
    assert (result.ignored, result.area) == (1, 6 + 239 + 87 + 129 + 10 + 130)


def test_what_is_deleted_malformed_or_missing(tmp_path: Path) -> None:
    labelme_xml(tmp_path)
    path = tmp_path / "Annotations/x/a.xml"
    text = path.read_text()
    path.write_text(text.replace("<deleted>0</deleted>", "<deleted>1</deleted>"))
    assert len(read_labels(tmp_path).coco["annotations"]) == 1
    path.write_text(text.replace("<x>2</x>", "<x>two</x>"))
    (tmp_path / "Masks/x/a_mask_1.png").unlink()
    assert read_labels(tmp_path).report.counts == {Fault.SHAPE_MALFORMED: 1, Fault.MASK_FILE: 1}


def test_an_image_of_outlines_without_points_has_no_objects(tmp_path: Path) -> None:
    labelme_xml(tmp_path)
    picture(tmp_path / "Images/x/b.png")
    shape = "<object><name>cat</name><polygon><username>me</username></polygon></object>"
    write(tmp_path / "Annotations/x/b.xml", f"<annotation><filename>b.png</filename>{shape}</annotation>")
    content = read_labels(tmp_path)
    assert len(content.coco["images"]) == 2 and content.report.counts == {Fault.SHAPE_MALFORMED: 1}

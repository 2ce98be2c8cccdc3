from __future__ import annotations

from maskrcnn.data.report import LINES_PER_FAULT, DataReport, Fault


def test_a_line_says_where_what_and_what_was_done() -> None:
    report = DataReport("labels.json")
    report.add(Fault.UNKNOWN_CATEGORY, "annotation 5", "99")
    report.add(Fault.MASK_UNUSABLE, "annotation 6")
    assert report.lines == [
        "labels.json: annotation 5: unknown category (99); annotation dropped",
        "labels.json: annotation 6: no usable mask; its box is ignored in training, neither object nor background",
    ]


def test_many_faults_are_counted_and_few_shown_but_of_every_rule() -> None:
    report = DataReport("labels.json", num_images=3, num_objects=2, num_ignored=1)
    for number in range(1000):
        report.add(Fault.UNKNOWN_CATEGORY, f"annotation {number}")
    report.add(Fault.POLYGON_ODD, "annotation 1000", "7 numbers")
    assert len(report.lines) == LINES_PER_FAULT + 1 and "annotation 1000" in report.lines[-1]
    assert list(report.summary()) == [
        "labels.json: 3 images, 2 objects, 1 ignored region, 1001 faults",
        "labels.json: 1000 x unknown category; annotation dropped",
        "labels.json: 1 x polygon has an odd number of coordinates; polygon dropped",
    ]


def test_lines_are_lines_and_short() -> None:
    report = DataReport("labels.json")
    report.add(Fault.IMAGE_FILE_MISSING, "image 1", "a\nb" * 1000)
    assert "\n" not in report.lines[0] and len(report.lines[0]) < 250
    assert report.lines[0].isprintable()


def test_every_rule_is_said_in_its_own_words() -> None:
    assert len({fault.value for fault in Fault}) == len(Fault)

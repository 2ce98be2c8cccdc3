from __future__ import annotations

import pytest

from maskrcnn.errors import UserError
from maskrcnn.structures import Categories, KeypointSchema

PERSON = {"id": 7, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2]]}
CAR = {"id": 2, "name": "car"}


def test_coco_list_there_and_back() -> None:
    categories = Categories.from_coco([PERSON, CAR])
    assert categories.to_coco() == [CAR, PERSON] and Categories.from_coco(categories.to_coco()) == categories
    assert categories.keypoints == KeypointSchema(("nose", "left_eye", "right_eye"), ((0, 1),))
    assert [categories.has_keypoints(label) for label in range(2)] == [False, True]


def test_stuff_is_what_is_no_thing() -> None:
    sky = {"id": 3, "name": "sky", "isthing": 0}
    categories = Categories.from_coco([sky, {**CAR, "isthing": 1}])
    assert categories.stuff == {1} and categories.stuff_names == ("sky",)
    assert categories.to_coco() == [{**CAR, "isthing": 1}, sky]
    assert Categories.from_coco(categories.to_coco()) == categories != Categories((2, 3), ("car", "sky"))
    assert "isthing" not in Categories.from_coco([{**CAR, "isthing": 1}]).to_coco()[0]


def test_classes_without_keypoints_equal_those_of_old_files() -> None:
    categories = Categories.from_coco([CAR, {"id": 1, "name": "dog", "keypoints": []}])
    assert categories == Categories((1, 2), ("dog", "car"))
    assert categories.keypoints is None and not categories.has_keypoints(0)
    assert categories.to_coco() == [{"id": 1, "name": "dog"}, CAR]


def test_classes_may_share_their_keypoints_but_not_have_others() -> None:
    same = Categories.from_coco([PERSON, {**PERSON, "id": 8, "name": "child"}])
    assert same.keypoints is not None and len(same.keypoints) == 3
    other = Categories.from_coco([PERSON, {"id": 8, "name": "hand", "keypoints": ["thumb"]}])
    assert other.keypoints is None and other.has_keypoints(1)


def test_ids_and_names_are_unique() -> None:
    with pytest.raises(UserError, match="id 2 appears twice"):
        Categories((2, 2), ("a", "b"))
    with pytest.raises(UserError, match="name a appears twice"):
        Categories((1, 2), ("a", "a"))
    with pytest.raises(UserError, match="1 ids but 2 names"):
        Categories((1,), ("a", "b"))
    with pytest.raises(UserError, match="2 ids but keypoints of 1"):
        Categories((1, 2), ("a", "b"), (None,))


def test_mistakes_in_keypoints_name_the_class() -> None:
    with pytest.raises(UserError, match="category person: keypoints: name a appears twice"):
        Categories.from_coco([{**PERSON, "keypoints": ["a", "a"]}])


def test_many_classes_cost_as_little_as_each() -> None:
    """Looked at once each: were every name compared with every other, this would not end."""
    number = 200_000
    categories = Categories(tuple(range(number)), tuple(map(str, range(number))))
    assert sum(categories.label_of(i) for i in categories.ids) == number * (number - 1) // 2
    schema = KeypointSchema(tuple(f"{side}_{i}" for i in range(number // 2) for side in ("left", "right")))
    assert schema.mirrored[:4] == (1, 0, 3, 2)


def test_repeated_names_are_listed_in_bounded_length() -> None:
    with pytest.raises(UserError) as error:
        Categories(tuple(range(40_000)), tuple(map(str, range(20_000))) * 2)
    assert len(str(error.value)) < 200


def test_labels_of_ids() -> None:
    categories = Categories((2, 7), ("car", "person"))
    assert categories.label_of(7) == 1
    with pytest.raises(KeyError):
        categories.label_of(1)

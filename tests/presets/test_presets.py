from __future__ import annotations

import pytest

from maskrcnn.errors import UserError
from maskrcnn.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_function_of_its_name_with_one_line_that_tells_what_it_is(name: str) -> None:
    make = PRESETS[name]
    assert make.__name__ == name and preset(name) == make()
    first = (make.__doc__ or "").splitlines()[0]
    assert first.endswith(".") and len(first) <= 120  # `maskrcnn models` prints it


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'papers' is unknown; did you mean paper"):
        preset("papers")

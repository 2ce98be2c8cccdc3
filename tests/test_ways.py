from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from maskrcnn.kernels.threads import in_threads
from maskrcnn.ops.nms import NMS, nms
from maskrcnn.ways import Ways


def plain() -> str:
    return "plain"


def fast() -> str:
    return "fast"


SPEED: Ways[Callable[[], str]] = Ways(reference=plain, fast=fast)


def speed() -> str:
    return SPEED.choose("fast")()


def test_the_way_asked_for_unless_another_is_prescribed() -> None:
    assert speed() == "fast" and list(SPEED) == ["reference", "fast"]
    with SPEED.only("reference"):
        assert speed() == "plain"
        with SPEED.only("fast"):
            assert speed() == "fast"
        assert speed() == "plain"
    assert speed() == "fast"


def test_it_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), SPEED.only("reference"):
        _ = 1 / 0
    assert speed() == "fast"


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(KeyError, match="slow"), SPEED.only("slow"):
        pass


def test_other_threads_are_not_concerned_but_those_that_share_the_work_are() -> None:
    seen: list[str] = []
    with SPEED.only("reference"), ThreadPoolExecutor(1) as other:
        assert other.submit(speed).result() == "fast"
        in_threads(range(8), lambda _: seen.append(speed()))
    assert seen == ["plain"] * 8


def test_an_op_takes_the_way_prescribed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NMS, "none", lambda boxes, *_: torch.empty(0, dtype=torch.int64))
    boxes, scores = torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1)
    with NMS.only("none"):
        assert nms(boxes, scores, 0.5).tolist() == []
    assert nms(boxes, scores, 0.5).tolist() == [0]

"""When two answers count as the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.compare.agreement import compare, pack_masks
from torch import Tensor


def found(count: int = 40) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=generator) * 500
    masks = torch.rand(min(count, 20), 13, 11, generator=generator) > 0.3
    return {
        "boxes": torch.cat([corners, corners + 50], dim=1),
        "scores": torch.linspace(0.9, 0.1, count),
        "labels": torch.arange(count) % 3,
        "masks": pack_masks(masks),
    }


def answer(*images: dict[str, Tensor]) -> dict[str, Any]:
    return {"images": list(images)}


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 4, 4), (0, 5, 7)])
def test_packed_masks_are_an_eighth_and_whole(shape: tuple[int, ...]) -> None:
    masks = torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.5
    packed = pack_masks(masks)
    assert packed.shape == (shape[0], -(-shape[1] * shape[2] // 8))
    unpacked = np.unpackbits(packed.numpy(), axis=1, count=shape[1] * shape[2])
    assert np.array_equal(unpacked.reshape(shape), masks.numpy())


def test_the_same_in_another_order() -> None:
    a, b = found(), found()
    order = torch.arange(40).view(-1, 2).flip(1).flatten()  # neighbours change places
    b = {name: value[order[: len(value)]] for name, value in b.items()}
    agreement = compare(answer(a, found(5)), answer(b, found(5)))
    assert agreement.suffices
    assert agreement.summary == "45 of 45 objects alike, their boxes within 0.0000 px, mean mask IoU 1.0000"


@pytest.mark.parametrize(
    ("field", "change"), [("boxes", 0.3), ("scores", 0.01), ("labels", 1)], ids=["moved", "rescored", "renamed"]
)
def test_other_objects_do_not_suffice(field: str, change: float) -> None:
    a, b = found(), found()
    b[field][:2] += change
    agreement = compare(answer(a), answer(b))
    assert agreement.suffices and "38 of 40 objects" in agreement.summary, "two of forty may change places"
    b[field][2] += change
    assert not compare(answer(a), answer(b)).suffices


def test_rounding_is_borne_and_reported() -> None:
    a, b = found(), found()
    b["boxes"][3, 1] += 0.03
    agreement = compare(answer(a), answer(b))
    assert agreement.suffices and "their boxes within 0.0300 px" in agreement.summary


def test_other_masks_and_missing_objects() -> None:
    a, b = found(), found()
    b["masks"] = ~b["masks"]
    assert not compare(answer(a), answer(b)).suffices
    assert not compare(answer(found()), answer(found(0))).suffices
    assert compare(answer(found(0)), answer(found(0))).suffices


def test_one_object_does_not_stand_for_two() -> None:
    a, b = found(1), found(1)
    b = {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in b.items()}
    assert "1 of 2 objects" in compare(answer(a), answer(b)).summary


def test_losses() -> None:
    def losses(value: float) -> dict[str, Any]:
        return {"losses": {"total": value}}

    assert compare(losses(1.2), losses(1.0)).suffices and not compare(losses(1.4), losses(1.0)).suffices
    assert compare(losses(1.2), losses(1.0)).summary.startswith("loss 1.200 against 1.000")
    assert not compare(losses(float("nan")), losses(1.0)).suffices

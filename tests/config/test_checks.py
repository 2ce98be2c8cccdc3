"""Every setting states its range: the walk over all of them needs no list of settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest

from maskrcnn.config import Config
from maskrcnn.config.checks import Grid, Length, Range, Section, hints_of, option_for
from maskrcnn.errors import UserError
from maskrcnn.presets import PRESETS, preset

SECTIONS: list[Section] = [getattr(Config(), field.name) for field in dataclasses.fields(Config)]
SETTINGS = [(section, field.name) for section in SECTIONS for field in dataclasses.fields(section)]  # type: ignore[arg-type]


def split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The plain type, and what limits it."""
    return (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())


def numbers(hint: Any) -> Iterator[tuple[type, tuple[Any, ...]]]:
    """The numbers inside a type, each with its limits."""
    kind, limits = split(hint)
    if kind in (int, float):
        yield kind, limits
    elif get_origin(kind) is not Literal:
        for option in get_args(kind):
            yield from numbers(option)


def just_outside(kind: type, limits: Range) -> list[float]:
    """The nearest values that are not in the range, and values far outside."""
    step = 1 if kind is int else 1e-9 * max(1.0, abs(limits.low), abs(limits.high))
    low = limits.low if limits.above else limits.low - step
    high = limits.high if limits.below else limits.high + step
    return [low, high, -(10**19), 10**19, math.nan, math.inf, -math.inf]


def with_number(value: Any, number: float) -> Any:
    """A value of tuples with its first number replaced."""
    return (with_number(value[0], number), *value[1:]) if isinstance(value, tuple) else number


def replaced(section: Section, name: str, value: Any) -> Any:
    return dataclasses.replace(section, **{name: value})  # type: ignore[type-var]


@pytest.mark.parametrize(("section", "name"), SETTINGS, ids=[f"{s.section}.{name}" for s, name in SETTINGS])
def test_every_setting_has_a_range_and_holds_to_it(section: Section, name: str) -> None:
    hint, default = hints_of(type(section))[name], getattr(section, name)
    kind, limits = split(hint)
    message = rf"^{section.section}\.{name}: expected"
    for number, ranges in numbers(hint):
        assert [type(r) for r in ranges] == [Range], "a number without a range"
        template = default or ((1,) if get_origin(kind) is tuple else 1)
        for outside in just_outside(number, ranges[0]):
            with pytest.raises(UserError, match=message):
                replaced(section, name, with_number(template, outside))
    if kind is str or (get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis and name not in ("mean", "std")):
        assert [type(limit) for limit in limits] == [Length], "a list or a text without a length"
        with pytest.raises(UserError, match=message):
            replaced(section, name, ("x" if kind is str else (1,)) * (limits[0].high + 1))
    for nonsense in (object(), [1], {}, b"x"):
        with pytest.raises(UserError, match=message):
            replaced(section, name, nonsense)


def test_the_edges_belong_to_a_range_or_not() -> None:
    assert all(value in Range(0, 1) for value in (0, 0.5, 1))
    assert 0 not in Range(0, 1, above=True) and 1 not in Range(0, 1, below=True)
    assert 24 in Range(8, 64, multiple_of=8) and 20 not in Range(8, 64, multiple_of=8)
    assert [str(Range(0, 1)), str(Range(0, 9, above=True)), str(Range(0, 1, below=True))] == [
        "from 0 to 1",
        "above 0 to 9",
        "from 0 below 1",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_in_range(name: str) -> None:
    assert isinstance(preset(name), Config)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("resnet", "stem_channels", -64),
        ("fpn", "channels", 0),
        ("optimizer", "momentum", 2.0),
        ("anchors", "ratios", (0.0, 1.0)),
        ("anchors", "sizes", ((-8.0,),)),
        ("rpn", "num_convs", 10**7),
        ("box_head", "pooled_size", 2000),
        ("box_head", "fc_channels", 10**9),
        ("mask_head", "num_convs", -1),
        ("schedule", "gamma", 0.0),
        ("schedule", "milestones", (0.5, 1.0)),
        ("data", "num_workers", -1),
        ("train", "seed", 10**30),
        ("train", "ema_decay", 1.0),
        ("rpn", "negative_iou", 0.9),
        ("augment", "scale_range", (2.0, 1.0)),
        ("evaluation", "max_detections", 0),
        ("input", "min_size", 0),
        ("input", "min_size", 1334),
        ("input", "std", (0.229, 0.0, 0.225)),
        ("input", "mean", (0.5,)),
        ("input", "size_divisor", 0),
        ("input", "rounding", "up"),
        ("backbone", "frozen_stages", 6),
        ("backbone", "norm", "batch"),
        ("resnet", "stem_channels", 20),
        ("resnet", "stage5_stride", 4),
        ("resnet", "norm_eps", -1e-5),
        ("anchors", "sizes", ((8.0,), (16.0, 20.0), (32.0,), (64.0,), (128.0,))),
        ("rpn", "positive_fraction", 1.5),
        ("rpn", "nms_threshold", -0.1),
        ("rpn", "pre_nms_top_k_test", 0),
        ("rpn", "box_weight", math.nan),
        ("roi", "samples_per_image", 0),
        ("roi", "sampling_ratio", -1),
        ("box_head", "score_threshold", 2.0),
        ("mask_head", "pooled_size", (14, 0)),
        ("mask_head", "threshold", 1.5),
        ("keypoint_head", "shift", math.inf),
        ("semantic_head", "stride", 7),
        ("semantic_head", "channels", 100),
        ("data", "max_pixels", 0),
        ("data", "crowd", "maybe"),
        ("augment", "horizontal_flip", 2.0),
        ("augment", "scale_range", (0.0, 1.0)),
        ("augment", "crop_size", -256),
        ("augment", "pad_crops", True),
        ("augment", "copy_paste", 1.5),
        ("optimizer", "lr", 0.0),
        ("optimizer", "weight_decay", -0.1),
        ("optimizer", "clip_norm", -1.0),
        ("schedule", "steps", 0),
        ("schedule", "warmup_steps", -1),
        ("schedule", "name", "linear"),
        ("train", "batch_size", 0),
        ("train", "accumulate", True),
        ("train", "checkpoint_every", 0),
    ],
)
def test_senseless_values_are_one_line(section: str, name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^{section}\.{name}: expected .*, got ") as caught:
        replaced(getattr(Config(), section), name, value)
    assert len(str(caught.value)) < 300


def test_a_list_is_meant_as_a_tuple_where_that_is_one_of_the_types() -> None:
    options = get_args(Grid)
    assert option_for(7, options) is options[0] and option_for([7, 3], options) is options[1]
    assert option_for(None, get_args(int | None)) is int

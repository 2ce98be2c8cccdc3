from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign.wrappers import find_weights

STATE = {"backbone.conv1.weight": torch.tensor(1.0), "rpn.head.bias": torch.tensor(2.0)}
AVERAGE = {name: tensor + 10 for name, tensor in STATE.items()}
BESIDE = {"epoch": 3, "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}}, "loss": torch.tensor(0.4)}


def under(prefix: str, state: Mapping[str, Any] = STATE) -> dict[str, Any]:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        *(
            {key: STATE, **BESIDE}
            for key in ("model", "model_state_dict", "state_dict", "model_state", "net", "weights")
        ),
        {"blobs": {name: tensor.numpy() for name, tensor in STATE.items()}, "cfg": "x"},
        {"model": {"state_dict": STATE}, **BESIDE},
        {"state_dict": {"model": {"module": STATE}}},
        under("module"),
        under("_orig_mod"),
        under("module._orig_mod"),
        {"state_dict": under("model"), "hyper_parameters": {"lr": 0.1}},
        {"model": under("module.model.net"), **BESIDE},
        {"backbone._orig_mod.conv1.weight": STATE["backbone.conv1.weight"], "rpn.head.bias": STATE["rpn.head.bias"]},
    ],
)
def test_weights_under_keys_and_prefixes(content: dict[str, Any]) -> None:
    found = find_weights(content)
    assert found.remarks == [] and found.tensors.keys() == STATE.keys()
    assert all(float(found.tensors[name]) == float(tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    ("content", "average", "remark"),
    [
        ({"model": STATE, "model_ema": AVERAGE}, False, "under model; their average .*: --key model_ema takes that"),
        ({"ema": AVERAGE, "net": STATE}, False, "under net; their average .*: --key ema"),
        ({"model": STATE, "network": AVERAGE}, False, "under model; others lie beside them: --key network"),
        ({**under("model"), **under("ema_model", AVERAGE)}, False, "under model; their average"),
        ({**STATE, "ema_backbone_conv1_weight": torch.ones(1), "ema_rpn_head_bias": torch.ones(1)}, False, "left out"),
        ({"ema": AVERAGE, **BESIDE}, True, "averaged weights under ema; there are no others"),
        ({"n_averaged": torch.tensor(5), **under("module", AVERAGE)}, True, "an average over training steps"),
        ({"model_ema": {"n_averaged": torch.tensor(5), **under("module", AVERAGE)}}, True, "under model_ema"),
    ],
)
def test_averages_beside_plain_weights(content: dict[str, Any], average: bool, remark: str) -> None:
    """Which was taken is said."""
    found = find_weights(content)
    assert found.tensors.keys() == STATE.keys()
    assert float(found.tensors["rpn.head.bias"]) == (12 if average else 2)
    with pytest.raises(AssertionError, match=remark):
        raise AssertionError("; ".join(found.remarks))


def test_what_lies_beside_the_network_is_left_out_and_said() -> None:
    found = find_weights({"state_dict": {**under("model"), "metric.total": torch.tensor(1)}, **BESIDE})
    assert found.tensors.keys() == STATE.keys() and found.remarks == [
        "left out 1 outside of model, such as metric.total"
    ]


def test_a_key_chooses() -> None:
    content = {"model": STATE, "model_ema": under("module", AVERAGE), "student": {"model": AVERAGE}, "epoch": 1}
    assert float(find_weights(content, "model_ema").tensors["rpn.head.bias"]) == 12
    assert float(find_weights(content, "student").tensors["rpn.head.bias"]) == 12
    for key in ("teacher", "epoch"):
        with pytest.raises(
            UserError, match=rf"--key {key}: expected one .* found model \(2 entries\), .* epoch \(int\)"
        ):
            find_weights(content, key)


def test_keys_are_listed_where_there_is_nothing_known() -> None:
    content = {"student": STATE, "epoch": 1, **{f"x{i}": "y" for i in range(20)}}
    with pytest.raises(
        UserError, match=r"found student \(2 entries\), epoch \(int\), x0 \(str\), .*, \.\.\. \(22 in all\)"
    ) as caught:
        find_weights(content)
    assert str(caught.value).endswith("; --key 'student' takes what lies there")
    with pytest.raises(UserError, match="found no keys at all"):
        find_weights({})


def test_messages_are_short_and_printable() -> None:
    content = {"\x1b[31m" * 1000 + str(i): np.float64(0) for i in range(100_000)}
    with pytest.raises(UserError) as caught:
        find_weights(content)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_dictionary_in_itself_ends() -> None:
    content: dict[str, Any] = {"a": torch.ones(1)}
    content["model"] = content
    with pytest.raises(UserError, match="there are none"):
        find_weights({"model": {"model": {"epoch": 1}}})
    assert find_weights(content).tensors.keys() == {"a"}

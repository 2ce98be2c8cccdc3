from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.config import Config, OptimizerConfig
from maskrcnn.errors import UserError
from maskrcnn.training.ema import EMA
from maskrcnn.training.optimizer import build_optimizer
from maskrcnn.training.state import TrainingState, read_newest_state, restore, save_state, saved_states
from maskrcnn.weights.tensor_file import read_tensors, write_tensors

DATA = {"images": 4}


def fresh(seed: int, name: str = "adamw") -> TrainingState:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 2, 1))
    model = model.to(memory_format=torch.channels_last).train()
    return TrainingState(model, build_optimizer(model, OptimizerConfig(name=name, lr=0.1)), EMA(model, 0.9))


def advance(state: TrainingState) -> None:
    state.model.zero_grad()
    pixels = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(state.step))
    state.model(pixels.to(memory_format=torch.channels_last)).square().mean().backward()
    state.optimizer.step()
    state.ema.update(state.model, state.step)
    state.step += 1


def contents(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in state.ema.model.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        tensors |= {f"optimizer.{name}.{k}": v for k, v in state.optimizer.state[parameter].items()}
    return {name: tensor.clone() for name, tensor in tensors.items()}


def assert_same(a: TrainingState, b: TrainingState) -> None:
    ours, theirs = contents(a), contents(b)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_round_trip_is_bit_identical_and_so_is_what_follows(tmp_path: Path, name: str) -> None:
    state = fresh(0, name)
    for _ in range(3):
        advance(state)
    state.best_score, state.best_step, state.skipped_in_row = 0.25, 2, 1
    save_state(tmp_path, state, Config(), DATA)

    other = fresh(1, name)
    restore(other, read_newest_state(tmp_path, pytest.fail))
    assert (other.step, other.best_score, other.best_step, other.skipped_in_row) == (3, 0.25, 2, 1)
    assert_same(state, other)
    for _ in range(2):
        advance(state)
        advance(other)
    assert_same(state, other)


def test_the_optimiser_is_laid_out_in_memory_as_the_parameters_are(tmp_path: Path) -> None:
    state = fresh(0)
    advance(state)
    save_state(tmp_path, state, Config(), DATA)
    other = fresh(1)
    restore(other, read_newest_state(tmp_path, pytest.fail))
    weight = other.model[0].weight
    assert other.optimizer.state[weight]["exp_avg"].stride() == weight.stride() != weight.contiguous().stride()


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_the_optimiser_lies_on_the_device_of_the_parameters(tmp_path: Path) -> None:
    """The meta device stands for a GPU, where a fused AdamW reads its count of steps without asking where it is."""
    state = fresh(0)
    advance(state)
    save_state(tmp_path, state, Config(), DATA)
    other = fresh(1)
    other.model.to("meta")
    other.optimizer = build_optimizer(other.model, OptimizerConfig(name="adamw"))
    restore(other, read_newest_state(tmp_path, pytest.fail))
    places = {name: t.device.type for own in other.optimizer.state.values() for name, t in own.items()}
    assert places == {"exp_avg": "meta", "exp_avg_sq": "meta", "step": "meta"}


def test_before_the_first_step_there_is_a_state_too(tmp_path: Path) -> None:
    state = fresh(0)
    save_state(tmp_path, state, Config(), DATA)
    other = fresh(1)
    restore(other, read_newest_state(tmp_path, pytest.fail))
    assert_same(state, other)
    assert other.step == 0 and other.best_score is None


def save_at(folder: Path, *steps: int) -> list[Path]:
    state = fresh(0)
    paths = []
    for step in steps:
        state.step = step
        paths.append(save_state(folder, state, Config(), DATA))
    return paths


def test_the_last_two_are_kept_in_the_order_of_their_steps(tmp_path: Path) -> None:
    save_at(tmp_path, 5, 90, 100, 1000)
    assert [p.name for p in saved_states(tmp_path)] == ["step-00001000.safetensors", "step-00000100.safetensors"]


@pytest.mark.parametrize("damage", ["empty", "torn", "flipped"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    _, newest = save_at(tmp_path, 5, 6)
    whole = newest.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    newest.write_bytes({"empty": b"", "torn": whole[: len(whole) // 2], "flipped": flipped}[damage])
    lines: list[str] = []
    saved = read_newest_state(tmp_path, lines.append)
    assert saved is not None and saved.header["step"] == 5
    assert len(lines) == 1 and str(newest) in lines[0] and "the state before" in lines[0]


def test_nothing_readable_is_an_error_and_nothing_at_all_is_none(tmp_path: Path) -> None:
    assert read_newest_state(tmp_path / "absent", pytest.fail) is None
    for path in save_at(tmp_path, 5, 6):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of the 2 saved states"):
        read_newest_state(tmp_path, lambda line: None)


def test_a_state_of_an_older_format_says_who_wrote_it(tmp_path: Path) -> None:
    _, newest = save_at(tmp_path, 5, 6)
    tensors, header = read_tensors(newest)
    write_tensors(newest, tensors, header | {"training_state": 1, "package": "0.0.9"})
    expected = (
        r"step-00000006.*of format \d+, got 1 written by maskrcnn 0\.0\.9; go on with that version, or train into"
    )
    with pytest.raises(UserError, match=expected):
        read_newest_state(tmp_path, pytest.fail)


def test_a_cut_off_write_is_cleared_away_and_ignored(tmp_path: Path) -> None:
    save_at(tmp_path, 5)
    leftover = tmp_path / ".step-00000006.safetensors.99.partial"
    leftover.write_bytes(b"half")
    saved = read_newest_state(tmp_path, pytest.fail)
    assert saved is not None and saved.header["step"] == 5
    assert not leftover.exists()


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    save_at(tmp_path, 5)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1))
    other = TrainingState(model, build_optimizer(model, OptimizerConfig()), EMA(model, 0.9))
    with pytest.raises(UserError, match=r"step-00000005\.safetensors: 0\.weight has shape"):
        restore(other, read_newest_state(tmp_path, pytest.fail))

"""Two processes that train together are one process with both images."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from maskrcnn.config import Config, OptimizerConfig
from maskrcnn.errors import UserError
from maskrcnn.ops.counts import counted_over_ranks, divisor
from maskrcnn.presets.fine_tuning import fine_tuned
from maskrcnn.settings import write_yaml
from maskrcnn.training.distributed import Ranks, joined, with_shared_statistics
from maskrcnn.training.initial import read_initial
from maskrcnn.training.loop import train
from maskrcnn.weights.tensor_file import read_tensors

PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
torch.backends.mkldnn.enabled = {onednn}
from maskrcnn.__main__ import run
sys.argv = ["maskrcnn", "train", "--config", sys.argv[1], "--init", "none", "--output", *sys.argv[2:]]
raise SystemExit(run())
"""

NUCLEI = Path(__file__).resolve().parents[2] / "examples" / "nuclei_mini"


def start(settings: Path, output: Path, world: int, *options: str, onednn: bool = True) -> list[subprocess.Popen[str]]:
    """One process for each rank, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(onednn=onednn), str(settings), str(output), *options],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each; none outlives the test."""
    try:
        return [(*(process.communicate(timeout=300)), process.returncode)[::-1] for process in processes]  # type: ignore[misc]
    finally:
        for process in processes:
            process.kill()


def weights(model: Path) -> dict[str, torch.Tensor]:
    return read_tensors(model)[0]


def with_an_empty_and_a_smaller_image(root: Path) -> None:
    """So that ranks have unlike shapes, and one of them nothing to find."""
    content = json.loads((root / "instances_train.json").read_text())
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 2]
    content["images"][2]["height"] = 40
    Image.open(root / "images" / "2.png").crop((0, 0, 64, 40)).save(root / "images" / "2.png")
    (root / "instances_train.json").write_text(json.dumps(content))


def as_yaml(config: Config, path: Path) -> Path:
    path.write_text(write_yaml(config))
    return path


def add_images_to_measure_on(config: Config, count: int) -> Config:
    """A val split of copies of the first image, of which one is cut short."""
    root = Path(config.data.root)
    content = json.loads((root / "instances_train.json").read_text())
    objects = [a for a in content["annotations"] if a["image_id"] == 0]
    names = [f"val_{number}.png" for number in range(count)]
    images = [content["images"][0] | {"id": number, "file_name": name} for number, name in enumerate(names)]
    copies = [a | {"id": 100 * image["id"] + a["id"], "image_id": image["id"]} for image in images for a in objects]
    with Image.open(root / "images" / "0.png") as picture:
        for number, name in enumerate(names):
            picture.point([min(value + 2 * number, 255) for value in range(256)] * 3).save(root / "images" / name)
    (root / "images" / names[2]).write_bytes((root / "images" / names[2]).read_bytes()[:2000])
    (root / "instances_val.json").write_text(json.dumps({**content, "images": images, "annotations": copies}))
    few = replace(config.rpn, pre_nms_top_k_test=50, post_nms_top_k_test=20)
    return replace(config, rpn=few, data=replace(config.data, val_annotations="instances_val.json"))


@pytest.fixture
def config(config: Config) -> Config:
    """With norms that do not depend on other images."""
    return replace(config, backbone=replace(config.backbone, norm="gn"))


def test_two_ranks_are_one_process(config: Config, tmp_path: Path) -> None:
    """Ten steps, with images of several shapes; also resumed by another number of ranks.

    Without oneDNN, which takes other kernels for one image than for two: on some processors their rounding is enough
    for another choice of regions in an untrained network.
    """
    with_an_empty_and_a_smaller_image(Path(config.data.root))
    config = replace(config, schedule=replace(config.schedule, steps=10, warmup_steps=2))
    config = replace(config, optimizer=OptimizerConfig(lr=0.01, reference_batch_size=4, clip_norm=5.0))
    config = replace(config, train=replace(config.train, batch_size=2, accumulate=2, checkpoint_every=5, ema_decay=0.9))
    with torch.backends.mkldnn.flags(enabled=False):
        alone = train(config, tmp_path / "alone")
    settings = as_yaml(config, tmp_path / "config.yaml")
    results = ended(start(settings, tmp_path / "two", 2, onednn=False))
    assert [code for code, _, _ in results] == [0, 0], results
    assert "step 10/10" in results[0][1] and results[1][1:] == ("", ""), "the second rank is silent"
    expected, found = weights(alone.last), weights(tmp_path / "two" / "last.safetensors")
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-5, atol=1e-5), name
    logged = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    single = [json.loads(line) for line in (tmp_path / "alone" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [entry["step"] for entry in single]
    for ours, theirs in zip(logged, single, strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-4)

    for state in (tmp_path / "two" / "state").glob("step-*10*"):
        state.unlink()
    with torch.backends.mkldnn.flags(enabled=False):
        resumed = train(config, tmp_path / "two", resume=True)  # from step 5 of two ranks, in one process
    for name, tensor in expected.items():
        assert torch.allclose(weights(resumed.last)[name], tensor, rtol=1e-5, atol=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "onednn", [pytest.param(False, id="same kernels"), pytest.param(True, id="kernels for one image and for two")]
)
def test_two_ranks_of_a_trained_network_are_one_process(onednn: bool, tmp_path: Path) -> None:
    """Ten steps of the bundled model, whose anchors are so many that rounding changes the order of their scores."""
    initial = read_initial("nuclei")
    assert initial is not None
    config = initial.bind(fine_tuned(initial.config))
    config = replace(config, data=replace(config.data, root=str(NUCLEI), val_annotations="", num_workers=0))
    config = replace(config, schedule=replace(config.schedule, steps=10, warmup_steps=0))
    config = replace(config, train=replace(config.train, batch_size=2, log_every=1))
    settings = as_yaml(config, tmp_path / "config.yaml")
    for world in (1, 2):
        results = ended(start(settings, tmp_path / str(world), world, "--init", "nuclei", onednn=onednn))
        assert [code for code, _, _ in results] == [0] * world, results
    single, logged = (
        [json.loads(line)["losses"] for line in (tmp_path / world / "log.jsonl").read_text().splitlines()]
        for world in ("1", "2")
    )
    assert len(single) == len(logged) == 10
    for ours, theirs in zip(logged, single, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_two_ranks_evaluate_as_one(config: Config, tmp_path: Path) -> None:
    """21 images, of which one cannot be read; and pictures of those that the second rank has seen."""
    config = add_images_to_measure_on(config, 21)
    config = replace(config, box_head=replace(config.box_head, max_detections=5, score_threshold=0.0))
    config = replace(
        config, schedule=replace(config.schedule, steps=1), train=replace(config.train, evaluate_start=False)
    )
    settings, folder = as_yaml(config, tmp_path / "config.yaml"), tmp_path / "run"
    results = ended(start(settings, folder, 2))
    assert [code for code, _, _ in results] == [0, 0], results
    assert "image left out" in results[0][1] and results[1][1:] == ("", "")
    files = ("metrics.json", "predictions.json", "report.html")
    shared = {name: (folder / "evaluation" / name).read_bytes() for name in files}
    pictures = sorted(path.name for path in (folder / "pictures").glob("00000001_*.jpg"))
    assert pictures == [f"00000001_{number}.jpg" for number in (0, 13, 20, 7)]
    shutil.rmtree(folder / "evaluation")
    shutil.rmtree(folder / "pictures")
    train(config, folder, resume=True)  # all steps are done: what is left is the evaluation, by one process
    for name in files:
        assert (folder / "evaluation" / name).read_bytes() == shared[name], name
    assert len({found["image_id"] for found in json.loads(shared["predictions.json"])}) == 20


def test_a_rank_that_dies_while_all_evaluate_ends_the_others(config: Config, tmp_path: Path) -> None:
    config = add_images_to_measure_on(config, 400)
    config = replace(config, schedule=replace(config.schedule, steps=1))
    processes = start(as_yaml(config, tmp_path / "config.yaml"), tmp_path / "run", 2)
    while not list((tmp_path / "run" / "pictures").glob("00000001_*.jpg")):
        assert processes[0].poll() is None
        time.sleep(0.05)
    processes[1].kill()
    code, error, _ = ended(processes[:1])[0]
    processes[1].communicate()
    assert code == 2
    assert re.search(r"error: rank 1 of 2 has ended or is stopped, in step 1; so rank 0 ends .*--resume", error)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the ranks in /proc")
def test_torchrun_goes_on_where_a_killed_rank_stopped(config: Config, tmp_path: Path) -> None:
    """To the same bits as a run that nothing disturbed."""
    config = replace(config, schedule=replace(config.schedule, steps=40))
    settings = as_yaml(config, tmp_path / "config.yaml")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command += ["-m", "maskrcnn", "train", "--config", str(settings), "--output", str(tmp_path / "run")]
    command += ["--init", "none", "--resume"]
    torchrun = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while not list((tmp_path / "run" / "state").glob("step-*3.safetensors")):
            assert torchrun.poll() is None
            time.sleep(0.01)
        os.kill(child_of_rank(torchrun.pid, 1), signal.SIGKILL)
        _, errors = torchrun.communicate(timeout=300)
    finally:
        torchrun.terminate()
    assert torchrun.returncode == 0, errors
    assert "starting anew" in errors and len(re.findall("continuing after step", errors)) == 1
    assert [code for code, _, _ in ended(start(settings, tmp_path / "undisturbed", 2))] == [0, 0]
    expected, found = (weights(tmp_path / name / "last.safetensors") for name in ("undisturbed", "run"))
    assert expected.keys() == found.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def child_of_rank(parent: int, rank: int) -> int:
    """The process of a rank that torchrun has started."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError("no such rank")


@pytest.mark.parametrize("blow", ["SIGKILL", pytest.param("SIGSTOP", marks=pytest.mark.slow)])
def test_a_rank_that_dies_or_is_stuck_ends_the_others(blow: str, config: Config, tmp_path: Path) -> None:
    config = replace(config, schedule=replace(config.schedule, steps=100_000))
    config = replace(config, train=replace(config.train, batch_size=2, checkpoint_every=1, rank_timeout=10))
    processes = start(as_yaml(config, tmp_path / "config.yaml"), tmp_path / "run", 2)
    while not list((tmp_path / "run" / "state").glob("step-*.safetensors")):
        assert processes[0].poll() is None
        time.sleep(0.1)
    processes[1].send_signal(getattr(signal, blow))
    code, error, _ = ended(processes[:1])[0]
    processes[1].kill()
    processes[1].wait()
    assert code == 2
    named = re.search(r"error: rank 1 of 2 has ended or is stopped, in step (\d+); so rank 0 ends .*--resume", error)
    assert named, error
    newest = max(int(path.stem.removeprefix("step-")) for path in (tmp_path / "run" / "state").glob("step-*"))
    assert newest in (int(named[1]) - 1, int(named[1])), "what is saved is the step before, or that itself"
    steps = replace(config, schedule=replace(config.schedule, steps=1))
    assert train(steps, tmp_path / "run", resume=True).steps >= 1, "the last state is whole"


def test_batches_that_cannot_be_divided() -> None:
    ranks = Ranks(0, 4, torch.device("cpu"))
    assert ranks.slice_of(8) == 2
    with pytest.raises(UserError, match=r"train.batch_size=6 cannot be divided among 4 ranks"):
        ranks.slice_of(6)


def test_positions_partition_a_step() -> None:
    """Two passes of three images each on each of two ranks."""
    ranks = [Ranks(rank, 2, torch.device("cpu")) for rank in (0, 1)]
    positions = [list(own.positions(number, 3)) for number in (0, 1) for own in ranks]
    assert positions == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_batch_norms_share_their_statistics_on_gpus_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert with_shared_statistics(model, Ranks(0, 1, torch.device("cpu"))) is model
    with pytest.raises(UserError, match=r"1 batch norms .* GPUs alone"):
        with_shared_statistics(model, Ranks(0, 2, torch.device("cpu")))
    shared = with_shared_statistics(model, Ranks(0, 2, torch.device("cuda")))
    assert isinstance(shared[1], nn.SyncBatchNorm)
    assert with_shared_statistics(model.eval(), Ranks(0, 2, torch.device("cpu"))) is not None


def test_counts_of_all_ranks() -> None:
    assert divisor(0) == 1
    assert divisor(7) == 7
    assert divisor(torch.tensor(0)) == torch.tensor(1)
    with counted_over_ranks(lambda count: torch.as_tensor(count) + 5):
        assert divisor(0) == torch.tensor(5)
        assert divisor(torch.tensor(3)) == torch.tensor(8)
    assert divisor(2) == 2


def test_variables_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UserError, match="WORLD_SIZE=two"), joined(torch.device("cpu"), 5):
        pass

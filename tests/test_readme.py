"""The code blocks of README and CONTRIBUTING run as they stand; `<!-- not run: why -->` above one exempts it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from maskrcnn.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()

_BLOCK = re.compile(r"(?P<exempt><!-- not run: .+? -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    exempt: bool


def blocks(text: str) -> list[Block]:
    return [Block(m["language"], m["code"], m["exempt"] is not None) for m in _BLOCK.finditer(text)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place with the examples in it, where the blocks may write what they like."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_python_blocks(folder: Path) -> None:
    """Together, from top to bottom, as a reader would type them."""
    code = "\n".join(block.code for block in blocks(README) if block.language == "python")
    run([sys.executable, "-c", code], folder)
    assert (folder / "overlay.png").stat().st_size > 1000


def test_the_page_about_results(folder: Path) -> None:
    """Its Python blocks together, from top to bottom."""
    pytest.importorskip("pandas")
    code = "\n".join(b.code for b in blocks((ROOT / "docs/results.md").read_text()) if b.language == "python")
    assert "nucleus" in run([sys.executable, "-c", code], folder)


def test_the_worked_examples_for_contributors(folder: Path) -> None:
    code = "\n".join(block.code for block in blocks((ROOT / "CONTRIBUTING.md").read_text()))
    assert "torch.Size" in run([sys.executable, "-c", code], folder)


def test_what_the_worked_examples_print(folder: Path) -> None:
    """The Python blocks of docs/roi_examples.md, one after the other, print what stands below them."""
    found = blocks((ROOT / "docs/roi_examples.md").read_text())
    code = "\n".join(block.code for block in found if block.language == "python")
    assert run([sys.executable, "-c", code], folder) == "".join(b.code for b in found if b.language == "text")


def run_bash(code: str, folder: Path) -> None:
    """Lines that call `maskrcnn` and nothing else in this process, since each new one imports torch anew."""
    lines = [shlex.split(line) for line in code.replace("\\\n", " ").splitlines()]
    if all(words[0] == "maskrcnn" and ">" not in words for words in lines):
        with contextlib.chdir(folder):
            assert [main(words[1:]) for words in lines] == [0] * len(lines), code
    else:
        run(["bash", "-euo", "pipefail", "-c", code], folder)


def test_bash_blocks(folder: Path) -> None:
    """The first in bash, as a reader would."""
    first, *others = (b.code for b in blocks(README) if b.language == "bash" and not b.exempt)
    run(["bash", "-euo", "pipefail", "-c", first], folder)
    for code in others:
        run_bash(code, folder)
    outputs = folder / "outputs"
    assert len(list((outputs / "predict").glob("*.png"))) == 12
    for expected in (
        "predict/predictions.json",
        "first/best.safetensors",
        "first_evaluation/metrics.json",
        "first_evaluation/report.html",
        "first_pictures/predictions.json",
    ):
        assert (outputs / expected).stat().st_size > 0


@pytest.mark.slow
def test_the_page_of_exports(folder: Path) -> None:
    for block in blocks((ROOT / "docs/export.md").read_text()):
        command = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
        run([*command, block.code], folder)
    assert (folder / "outputs/nuclei.onnx").is_file() and (folder / "outputs/exported").is_dir()


@pytest.mark.slow
def test_the_page_of_exports_in_8_bits(folder: Path, shared: Path) -> None:
    """The command that the page shows for own data, on 16 validation images: it passes its own gate."""
    labels = json.loads((shared / "data/nuclei/instances_val.json").read_text())
    labels["images"] = labels["images"][:16]
    chosen = {image["id"] for image in labels["images"]}
    labels["annotations"] = [entry for entry in labels["annotations"] if entry["image_id"] in chosen]
    (folder / "val").mkdir()
    (folder / "val/images").symlink_to(shared / "data/nuclei/images")
    (folder / "val/instances.json").write_text(json.dumps(labels))
    settings = "--int8 --calibrate examples/nuclei_mini/images --validate val/instances.json"
    for command in ("nuclei.onnx --model nuclei", f"nuclei_int8.onnx --model nuclei {settings}"):
        run(["bash", "-euo", "pipefail", "-c", f"maskrcnn export {command}"], folder)
    assert (folder / "nuclei_int8.onnx").stat().st_size < 0.45 * (folder / "nuclei.onnx").stat().st_size


def test_few_blocks_are_exempt() -> None:
    found = blocks(README)
    assert {block.language for block in found} == {"bash", "python"}
    exempt = [block for block in found if block.exempt]
    assert len(found) >= 10 and all("make" in block.code or "import-weights" in block.code for block in exempt)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/conventions.md",
        "docs/own_data.md",
        "docs/importing.md",
        "docs/family.md",
        "docs/export.md",
        "docs/deploy.md",
        "docs/results.md",
        "docs/scale.md",
    ],
)
def test_links_lead_to_files(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", _BLOCK.sub("", path.read_text())):
        assert (path.parent / target).exists(), f"{page} links to {target}"

"""The wheel and the source archive: the same bytes wherever and whenever they are built, and the tests are in there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("benchmarks", "build_tools", "docs", "examples", "recipes", "src", "tests")
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md")

BUILD = """
import os, sys
os.umask(int(sys.argv[2], 8))
sys.path.insert(0, "build_tools")
import reproducible
print(getattr(reproducible, "build_" + sys.argv[1])("dist"))
"""


def checkout(folder: Path, umask: int, when: float) -> Path:
    """The sources as somebody with this umask would have got them at this time."""
    without = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.safetensors", ".pytest_cache")
    folder.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=without)
    for file in (*FILES, "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, folder / file)
    for path in folder.rglob("*"):
        os.utime(path, (when, when))
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
    return folder


def build(folder: Path, kind: str, umask: int) -> Path:
    command = [sys.executable, "-c", BUILD, kind, oct(umask)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder / "dist" / done.stdout.split()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_built_twice_the_bytes_are_the_same(tmp_path: Path, kind: str) -> None:
    first = build(checkout(tmp_path / "here", 0o022, 1.6e9), kind, 0o022)
    second = build(checkout(tmp_path / "elsewhere", 0o077, 1.7e9), kind, 0o077)
    assert first.name == second.name and first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_the_wheel_can_be_read_by_everybody(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(checkout(tmp_path / "x", 0o077, 1.7e9), "wheel", 0o077)) as wheel:
        assert {entry.external_attr >> 16 for entry in wheel.infolist()} == {0o100644}
        assert "maskrcnn/__init__.py" in wheel.namelist() and "maskrcnn/py.typed" in wheel.namelist()
        assert wheel.testzip() is None


@pytest.mark.slow
def test_the_source_archive_runs_its_tests(tmp_path: Path) -> None:
    archive = build(checkout(tmp_path / "x", 0o022, 1.6e9), "sdist", 0o022)
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    tests = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert tests and all((folder / test).is_file() for test in tests)
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_text.py", "tests/architecture", "tests/config"]
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

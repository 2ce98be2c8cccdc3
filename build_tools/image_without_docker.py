"""Carries out the steps of the Dockerfile in a folder, where there is no Docker, and tries what comes out.

python build_tools/image_without_docker.py FOLDER [--pip-options OPTIONS]

What a stage runs before its last `FROM` is run here, with paths below FOLDER. The last stage's entry point is then
started as the user of the image, who can write nowhere but in /tmp, and asked what the health check asks. Run it by a
Python that every user may execute, such as /usr/bin/python3.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Stage:
    """One `FROM` with its instructions, as (name, rest of the line)."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """The rest of the last line with this instruction."""
        return next(rest for name, rest in reversed(self.steps) if name == instruction)

    def values(self, instruction: str) -> dict[str, str]:
        """What ENV or ARG set."""
        words = [word for name, rest in self.steps if name == instruction for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words if "=" in word)


def read_stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            _, _, name = rest.partition(" AS ")
            stages.append(Stage(name.strip()))
        else:
            stages[-1].steps.append((instruction, rest.strip()))
    return stages


def build(stage: Stage, folder: Path, pip_options: str) -> None:
    """Carry out ENV, WORKDIR, COPY and RUN of a stage, with all absolute paths below the folder."""
    environment = {**os.environ, **stage.values("ENV"), **stage.values("ARG"), "PIP_OPTIONS": pip_options}
    here = folder
    for instruction, rest in stage.steps:
        if instruction == "WORKDIR":
            here = Path(below(rest, folder))
            here.mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                copy(ROOT / source, here / target)
        elif instruction == "RUN":
            command = below(rest, folder).replace("python -m venv", f"{sys.executable} -m venv")
            print(f"+ {command}", flush=True)
            subprocess.run(["bash", "-euc", command], cwd=here, env=environment, check=True)


def copy(source: Path, target: Path) -> None:
    """A file, or the content of a folder, as COPY does."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target if target.is_dir() else target.parent / target.name)


def below(text: str, folder: Path) -> str:
    """The text with the image's absolute paths below the folder."""
    return re.sub(r"(?<![\w./])/(opt|source)\b", lambda found: f"{folder}/{found[1]}", text)


def try_out(stage: Stage, folder: Path) -> None:
    """Start the entry point as the image's user, ask the health check, stop it by the image's signal."""
    command = json.loads(stage.last("ENTRYPOINT")) + json.loads(stage.last("CMD"))
    check = json.loads(stage.last("HEALTHCHECK").partition("CMD")[2])
    path = below(stage.values("ENV")["PATH"], folder).replace("$PATH", os.environ["PATH"])
    environment = {**stage.values("ENV"), "PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    user = {"user": int(stage.last("USER")), "group": int(stage.last("USER")), "extra_groups": []}
    options = {"env": environment, "cwd": stage.last("WORKDIR"), **(user if os.getuid() == 0 else {})}
    started = time.perf_counter()
    server = subprocess.Popen([shutil.which(command[0], path=path) or command[0], *command[1:]], **options)
    try:
        check[0] = shutil.which(check[0], path=path) or check[0]
        while subprocess.run(check, **options, stderr=subprocess.DEVNULL).returncode:
            assert server.poll() is None and time.perf_counter() - started < 300, "it does not become healthy"
            time.sleep(0.2)
        print(f"healthy after {time.perf_counter() - started:.1f} s")
    finally:
        server.send_signal(getattr(signal, stage.last("STOPSIGNAL")))
        code = server.wait(120)
    assert code == 0, f"exit code {code}"
    print("ended with exit code 0")


def megabytes(folder: Path) -> float:
    """What its files take, hard links once."""
    files = {(stat.st_dev, stat.st_ino): stat.st_size for p in folder.rglob("*") if (stat := p.lstat()) and p.is_file()}
    return sum(files.values()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pip-options", default="")
    values = parser.parse_args()
    folder = values.folder.resolve()
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    *builders, last = read_stages((ROOT / "Dockerfile").read_text())
    for stage in builders:
        build(stage, folder, values.pip_options)
    print(f"{megabytes(folder / 'opt'):.0f} MB in /opt, beside the base image")
    try_out(last, folder)


if __name__ == "__main__":
    main()

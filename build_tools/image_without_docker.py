"""Carries out the steps of the Dockerfile in a folder, where there is no Docker, and tries what comes out.

python build_tools/image_without_docker.py FOLDER [--target torch|onnx] [--model FILE] [--pip-options OPTIONS]

The stage that the target copies from is built here, with paths below FOLDER. The target's entry point is then started
as the user of the image, who can write nowhere but in /tmp, and asked what the health check asks. Run it by a Python
that every user may execute, such as /usr/bin/python3.
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
    """One `FROM`: its instructions as (name, rest of the line), behind those of the stage that it continues."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """The rest of the last line with this instruction."""
        return next(rest for name, rest in reversed(self.steps) if name == instruction)

    def values(self, instruction: str) -> dict[str, str]:
        """What ENV or ARG set."""
        words = [word for name, rest in self.steps if name == instruction for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words if "=" in word)


def read_stages(text: str) -> dict[str, Stage]:
    """The stages of a Dockerfile, by name."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    stages: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name] = Stage(name, list(stages[base].steps) if base in stages else [])
        else:
            stage.steps.append((instruction, rest.strip()))
    return stages


def build(stage: Stage, folder: Path, pip_options: str) -> None:
    """Carry out ENV, WORKDIR, COPY and RUN of a stage, with all absolute paths below the folder."""
    settings = {name: below(value, folder) for name, value in stage.values("ENV").items()}
    environment = {**os.environ, **settings, **stage.values("ARG"), "PIP_OPTIONS": pip_options}
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
            command = re.sub(r"^(python|pip) ", own_tool, below(rest, folder))
            print(f"+ {command}", flush=True)
            subprocess.run(["bash", "-euc", command], cwd=here, env=environment, check=True)


def own_tool(found: re.Match[str]) -> str:
    """This Python, or its pip, in the place of the image's."""
    return f"{sys.executable} -m pip " if found[1] == "pip" else f"{sys.executable} "


def copy(source: Path, target: Path) -> None:
    """A file, or the content of a folder, as COPY does."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target if target.is_dir() else target.parent / target.name)


def below(text: str, folder: Path) -> str:
    """The text with the image's absolute paths below the folder."""
    return re.sub(r"(?<![\w./])/(opt|source)\b", lambda found: f"{folder}/{found[1]}", text)


def try_out(stage: Stage, folder: Path, model: str | None) -> None:
    """Start the entry point as the image's user, ask the health check, stop it by the image's signal."""
    command = json.loads(stage.last("ENTRYPOINT"))
    command += json.loads(stage.last("CMD")) if model is None else ["--model", model]
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
    parser.add_argument("--target", default="torch")
    parser.add_argument("--model", help="instead of the one that the image names")
    parser.add_argument("--pip-options", default="")
    values = parser.parse_args()
    folder = values.folder.resolve()
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    stages = read_stages((ROOT / "Dockerfile").read_text())
    target = stages[values.target]
    build(stages[built_by(target)], folder, values.pip_options)
    print(f"{megabytes(folder / 'opt'):.0f} MB in /opt, beside the base image")
    try_out(target, folder, values.model)


def built_by(target: Stage) -> str:
    """The name of the stage that a target copies from."""
    return next(rest.split()[0].removeprefix("--from=") for name, rest in target.steps if name == "COPY")


if __name__ == "__main__":
    main()

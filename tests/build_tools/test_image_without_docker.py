"""The Dockerfile: what its stages do, and what image comes out, as far as it can be said without Docker."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from build_tools.image_without_docker import below, built_by, read_stages

ROOT = Path(__file__).resolve().parents[2]
STAGES = read_stages((ROOT / "Dockerfile").read_text())


def test_stages_and_what_they_continue() -> None:
    stages = read_stages('# x\nFROM a AS one\nRUN b \\\n    c\nFROM one AS two\n# y\nCMD ["e"]\n')
    assert stages["one"].steps == [("RUN", "b      c")]
    assert stages["two"].steps == [("RUN", "b      c"), ("CMD", '["e"]')]


def test_paths_of_the_image() -> None:
    assert below("/opt/a/bin/pip x/opt /source", Path("/there")) == "/there/opt/a/bin/pip x/opt /there/source"


@pytest.mark.parametrize(("target", "builder"), [("torch", "build"), ("onnx", "build-onnx")])
def test_the_images(target: str, builder: str) -> None:
    """A user of its own, a health check, exec forms that get signals, and nothing of the build but the environment."""
    stage = STAGES[target]
    assert stage.last("USER").isdigit() and int(stage.last("USER")) > 0
    assert json.loads(stage.last("ENTRYPOINT"))[:2] == ["maskrcnn", "serve"]
    assert json.loads(stage.last("CMD")) and json.loads(stage.last("HEALTHCHECK").partition("CMD")[2])
    assert stage.last("STOPSIGNAL") == "SIGTERM" and built_by(stage) == builder
    assert [rest for name, rest in stage.steps if name == "COPY"] == [f"--from={builder} /opt/maskrcnn /opt/maskrcnn"]


def test_the_image_without_pytorch_has_the_libraries_of_the_server() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["serve"]
    installed = next(
        rest for name, rest in STAGES["build-onnx"].steps if "requirements-runtime.txt" in rest and name == "RUN"
    )
    assert {re.split("[<>=]", requirement)[0] for requirement in extra} <= set(installed.split())


def test_what_is_copied_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    steps = [*STAGES["build"].steps, *STAGES["build-onnx"].steps]
    sources = {source for step, rest in steps if step == "COPY" for source in rest.split()[:-1]}
    assert ignored[0] == "*" and {f"!{source}" for source in sources} <= set(ignored)
    assert all((ROOT / source).exists() for source in sources) and {"src", "constraints.txt"} <= sources


def test_the_compose_file() -> None:
    """A key, no more rights than needed, and time enough to drain."""
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["tmpfs"] == ["/tmp"]
    assert "--api-key-env" in service["command"] and service["ports"] == ["127.0.0.1:8000:8000"]
    assert int(re.sub(r"\D", "", service["stop_grace_period"])) >= 35

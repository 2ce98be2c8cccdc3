"""The Dockerfile: what its stages do, and what image comes out, as far as it can be said without Docker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from build_tools.image_without_docker import below, read_stages

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_continued_lines_and_comments() -> None:
    stages = read_stages('# x\nFROM a AS one\nRUN b \\\n    c\nFROM d\n# y\nCMD ["e"]\n')
    assert [(stage.name, stage.steps) for stage in stages] == [
        ("one", [("RUN", "b      c")]),
        ("", [("CMD", '["e"]')]),
    ]


def test_paths_of_the_image() -> None:
    assert below("/opt/a/bin/pip x/opt /source", Path("/there")) == "/there/opt/a/bin/pip x/opt /there/source"


def test_the_image() -> None:
    """A user of its own, a health check, exec forms that get signals, and nothing of the build but the environment."""
    *_, last = read_stages(DOCKERFILE)
    assert last.last("USER").isdigit() and int(last.last("USER")) > 0
    assert json.loads(last.last("ENTRYPOINT"))[:2] == ["maskrcnn", "serve"]
    assert json.loads(last.last("CMD")) and json.loads(last.last("HEALTHCHECK").partition("CMD")[2])
    assert last.last("STOPSIGNAL") == "SIGTERM"
    assert [rest for name, rest in last.steps if name == "COPY"] == ["--from=build /opt/maskrcnn /opt/maskrcnn"]


def test_what_is_copied_exists() -> None:
    for stage in read_stages(DOCKERFILE)[:-1]:
        for name, rest in stage.steps:
            if name == "COPY":
                assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*" and {"!src", "!pyproject.toml", "!build_tools"} <= set(ignored)


def test_the_compose_file() -> None:
    """A key, no more rights than needed, and time enough to drain."""
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["tmpfs"] == ["/tmp"]
    assert "--api-key-env" in service["command"] and service["ports"] == ["127.0.0.1:8000:8000"]
    assert int(re.sub(r"\D", "", service["stop_grace_period"])) >= 35

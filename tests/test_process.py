"""Our own processes begin with settings for the C libraries, unless the user has some."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from maskrcnn import process
from maskrcnn.process import SETTINGS, begin_with_settings

CLEAN = {name: value for name, value in os.environ.items() if name not in {"OMP_WAIT_POLICY", *SETTINGS}}
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the settings are of Linux's libraries")


@linux_only
@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, SETTINGS), ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}), ({"OMP_WAIT_POLICY": "active"}, {})],
    ids=["none", "one", "akin"],
)
def test_the_same_process_goes_on_with_the_settings_unless_the_user_has_some(
    own: dict[str, str], expected: dict[str, str]
) -> None:
    code = """
import os, sys
from maskrcnn.process import SETTINGS, begin_with_settings
begin_with_settings()
print(os.getpid(), sys.argv[1:], {name: os.environ[name] for name in SETTINGS if name in os.environ})
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, "a b", "--c"], env={**CLEAN, **own}, stdout=subprocess.PIPE, text=True
    ) as started:
        out, _ = started.communicate()
    assert out == f"{started.pid} ['a b', '--c'] {expected}\n"


@linux_only
@pytest.mark.parametrize("command", [["-m", "maskrcnn"], ["-c", "import maskrcnn.__main__ as m; m.run()"]])
def test_the_command_line_begins_so_before_torch_is_imported(command: list[str], tmp_path: Any) -> None:
    """Python imports `sitecustomize` at every beginning: this one counts them, and what is known by then."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"with open({str(tmp_path / 'beginnings')!r}, 'a') as file:\n"
        "    print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules, file=file)\n"
    )
    environment = {**CLEAN, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, *command, "models"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "nuclei" in done.stdout, done.stderr
    assert (tmp_path / "beginnings").read_text() == "None False\n5000 False\n"


def test_nothing_happens_where_the_settings_mean_nothing_or_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(path: str, *_: Any) -> None:
        asked.append(path)
        raise OSError("refused")

    monkeypatch.setattr(os, "execve", refuse)
    monkeypatch.setattr(os, "environ", dict(CLEAN))
    monkeypatch.setattr(process.sys, "platform", "darwin")
    begin_with_settings()
    assert asked == []
    monkeypatch.setattr(process.sys, "platform", "linux")
    begin_with_settings()
    assert asked == [sys.executable]
    monkeypatch.setattr(process.sys, "gettrace", lambda: print)
    begin_with_settings()
    assert asked == [sys.executable], "a debugger would lose its program"

"""Our own processes begin with settings for the C libraries, unless the user has some."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from maskrcnn import process
from maskrcnn.process import SETTINGS, begin_with_settings, settings_state

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
from maskrcnn.process import SETTINGS, begin_with_settings, settings_state
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
    monkeypatch.setattr(process, "_can_begin_anew", lambda frame: True)  # pytest may run in a host of its own
    monkeypatch.setattr(process.sys, "platform", "darwin")
    begin_with_settings()
    assert asked == []
    monkeypatch.setattr(process.sys, "platform", "linux")
    begin_with_settings()
    assert asked == [sys.executable]
    monkeypatch.setattr(process.sys, "gettrace", lambda: print)
    begin_with_settings()
    assert asked == [sys.executable], "a debugger would lose its program"


COUNTING = """
import sys
with open(sys.argv[-1], "a") as file:
    print("begun", file=file)
"""


def beginnings(command: list[str], log: Path, script: str | None = None) -> int:
    """How often the program `command` begins, which writes a line to `log` each time."""
    done = subprocess.run([*command, str(log)], env=CLEAN, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return len(log.read_text().splitlines())


@linux_only
def test_a_program_of_the_users_begins_anew_with_the_two_lines_of_the_readme(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    match = re.search(r"^    from maskrcnn\.process import .*\n    .*\n", readme, re.MULTILINE)
    assert match
    code = textwrap.dedent(match[0]) + COUNTING + "import os; assert 'GOMP_SPINCOUNT' in os.environ"
    (tmp_path / "program.py").write_text(COUNTING + code)
    assert beginnings([sys.executable, str(tmp_path / "program.py")], tmp_path / "log") == 3  # once, then twice


@linux_only
@pytest.mark.parametrize("alter", [False, True])
def test_a_host_that_runs_the_module_by_runpy_keeps_what_it_has_done(tmp_path: Path, alter: bool) -> None:
    """A profiler or a notebook: `maskrcnn` is called as a module inside a program that does other things."""
    host = (
        COUNTING
        + f"""
import runpy
sys.argv = ["maskrcnn", "--version"]
try:
    runpy.run_module("maskrcnn", run_name="__main__", alter_sys={alter})
except SystemExit as end:
    sys.exit(end.code)
"""
    )
    (tmp_path / "host.py").write_text(host)
    assert beginnings([sys.executable, str(tmp_path / "host.py")], tmp_path / "log") == 1


@linux_only
@pytest.mark.parametrize("command", [[], ["-"], ["/dev/stdin"]], ids=" ".join)
def test_a_script_from_standard_input_is_not_lost(tmp_path: Path, command: list[str]) -> None:
    script = "from maskrcnn.process import begin_with_settings\nbegin_with_settings()" + COUNTING
    if not command:  # without arguments: the log's name is part of the script
        script = script.replace("sys.argv[-1]", repr(str(tmp_path / "log")))
        done = subprocess.run([sys.executable], env=CLEAN, input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "log").read_text() == "begun\n"
    else:
        assert beginnings([sys.executable, *command], tmp_path / "log", script) == 1


@linux_only
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (SETTINGS, "active"),
        ({}, "not active: the program was not begun anew"),
        ({**SETTINGS, "GOMP_SPINCOUNT": "7"}, "not active: GOMP_SPINCOUNT is set"),
        ({"OMP_WAIT_POLICY": "active"}, "not active: OMP_WAIT_POLICY is set"),
    ],
    ids=["active", "none", "one", "akin"],
)
def test_whether_the_settings_are_active(monkeypatch: pytest.MonkeyPatch, own: dict[str, str], expected: str) -> None:
    monkeypatch.setattr(os, "environ", {**CLEAN, **own})
    assert settings_state() == expected

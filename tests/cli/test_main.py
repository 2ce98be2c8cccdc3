"""The table of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from maskrcnn.cli import main as main_module
from maskrcnn.cli.main import COMMANDS, main
from maskrcnn.errors import UserError

Run = Callable[..., tuple[int, str, str]]


def test_overview_and_version(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)
    assert run("--version") == (0, "maskrcnn 0.1.0\n", "")


def test_without_a_command_the_overview_is_an_error(run: Run) -> None:
    code, out, _ = run()
    assert code == 2 and "commands:" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0 and out.startswith(f"usage: maskrcnn {name}")


def test_help_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys; from maskrcnn.cli.main import COMMANDS, main\n"
        "for name in COMMANDS: main([name, '--help'])\n"
        "assert not {'torch', 'cv2', 'hotcoco'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tran"], "unknown command 'tran'; did you mean train?"),
        (
            ["predict", "x.png", "--scoer-threshold", "0.3"],
            "unknown option --scoer-threshold; did you mean --score-threshold?",
        ),
        (
            ["predict", "x.png", "--score-treshold=0.3"],
            "unknown option --score-treshold; did you mean --score-threshold?",
        ),
        (["predict", "x.png", "--score", "0.3"], "unknown option --score"),
        (["predict", "x.png", "--score-threshold", "1.5"], "--score-threshold: expected a number from 0 to 1, got 1.5"),
        (["predict", "x.png", "--score-threshold", "high"], "expected a number from 0 to 1, got 'high'"),
        (["predict", "x.png", "--max-detections", "0"], "expected a number of at least 1, got 0"),
        (["predict"], "the following arguments are required: SOURCE"),
        (["predict", "absent.png"], "absent.png: expected an image"),
        (["--debug", "doctor"], "options come after the command: maskrcnn COMMAND --debug"),
        (["doctor", "now"], "unexpected argument 'now'"),
        (["train", "--output"], "--output: expected one argument"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert err.startswith("error: ") and message in err
    assert err.count("\n") == 1


def replace_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setitem(main_module.COMMANDS, "doctor", (fail, ""))


@pytest.mark.parametrize(
    ("error", "code", "start"),
    [
        (UserError("expected this, got that"), 2, "error: expected this, got that\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (MemoryError("x"), 2, "error: out of memory"),
        (SystemExit(143), 143, ""),
        (KeyError("frames\nmore"), 3, "error: unexpected KeyError: 'frames"),
    ],
)
def test_exit_codes(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, start: str) -> None:
    replace_command(monkeypatch, error)
    got, _, err = run("doctor")
    assert got == code and err.startswith(start)
    assert "Traceback" not in err and err.count("\n") <= 1


@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_bug_shows_its_traceback_when_asked(run: Run, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    replace_command(monkeypatch, ValueError("broken"))
    if way == "environment":
        monkeypatch.setenv("MASKRCNN_DEBUG", "1")
    code, _, err = run("doctor", *(["--debug"] if way == "option" else []))
    assert code == 3 and "Traceback" in err and "please report" in err


def test_running_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "maskrcnn", "predcit"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "error: unknown command 'predcit'; did you mean predict?\n"


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m maskrcnn --help | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("\n0\n") and done.stderr == ""


def test_main_reads_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["maskrcnn", "--version"])
    assert main() == 0 and "maskrcnn" in capsys.readouterr().out

"""`maskrcnn COMMAND ...`: one table of commands, and one place that turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata

from maskrcnn.cli import (
    benchmark,
    check,
    compare,
    convert,
    doctor,
    evaluate,
    export,
    import_weights,
    inspect,
    models,
    predict,
    serve,
    train,
)
from maskrcnn.errors import LONGEST_MESSAGE, UserError
from maskrcnn.failures import failure_of_machine
from maskrcnn.large.shrinking import ShrunkImage
from maskrcnn.settings import nearest
from maskrcnn.text import one_line

COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "predict": (predict.main, "outline the objects in images"),
    "train": (train.main, "train a model on your own data"),
    "evaluate": (evaluate.main, "measure a model against annotated images"),
    "compare": (compare.main, "tell whether one model is better than another"),
    "inspect": (inspect.main, "watch an image go through the network, on one page"),
    "import-weights": (import_weights.main, "convert a model of torchvision or detectron2"),
    "check": (check.main, "check a data set before training on it"),
    "convert": (convert.main, "write labels of one form in another"),
    "export": (export.main, "write a model for ONNX Runtime or OpenVINO, without PyTorch"),
    "serve": (serve.main, "answer requests over HTTP, with a page to try a model"),
    "models": (models.main, "list the bundled models and the presets"),
    "benchmark": (benchmark.main, "measure a model on this machine, stage by stage"),
    "doctor": (doctor.main, "report on this installation and machine"),
}

OK, SKIPPED_SOME, USER_ERROR, BUG, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done; 1 done, but some inputs were skipped; 2 a mistake in what was asked; 3 a bug;
        130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except UserError as error:
        return _fail(str(error), USER_ERROR)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe (`| head`) has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (for the interpreter's last flush)
        return OK
    except OSError as error:  # a full disk, a name that is too long, ...: not a bug
        if "--debug" in arguments:
            traceback.print_exception(error)
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}", USER_ERROR)
    except Exception as error:
        return _unexpected(error, debug="--debug" in arguments)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return OK if arguments else USER_ERROR
    if arguments[0] == "--version":
        print(f"maskrcnn {metadata.version('maskrcnn')}")
        return OK
    name, *rest = arguments
    if name.startswith("-"):
        raise UserError(f"options come after the command: maskrcnn COMMAND {name} ...")
    if name not in COMMANDS:
        raise UserError(f"unknown command {name!r}; {nearest(name, COMMANDS)}")
    warnings.simplefilter("ignore", ShrunkImage)
    try:
        return COMMANDS[name][0](rest)
    except SystemExit as leaving:  # argparse leaves this way after --help
        return int(leaving.code or 0)


def _overview() -> str:
    lines = [f"  {name:<15} {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        ["usage: maskrcnn COMMAND ...", "", "commands:", *lines, "", "maskrcnn COMMAND --help explains one."]
    )


def _unexpected(error: Exception, debug: bool) -> int:
    if (reason := failure_of_machine(error)) is not None:
        return _fail(reason, USER_ERROR)
    if debug or os.environ.get("MASKRCNN_DEBUG"):
        traceback.print_exception(error)
    return _fail(
        f"unexpected {type(error).__name__}: {one_line(str(error), 300)}; this is a bug: please report it "
        "with the output of the same command and --debug",
        BUG,
    )


def _fail(message: str, code: int) -> int:
    print(f"error: {one_line(message, LONGEST_MESSAGE)}", file=sys.stderr)
    return code

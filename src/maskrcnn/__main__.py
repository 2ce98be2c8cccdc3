"""The command `maskrcnn`, and `python -m maskrcnn`."""

import sys

from maskrcnn.process import begin_with_settings


def run() -> int:
    """Run the command line in a process of our own; returns the exit code."""
    begin_with_settings()
    from maskrcnn.cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())

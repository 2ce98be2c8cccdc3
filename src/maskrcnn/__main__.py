"""`python -m maskrcnn`: the same as the command `maskrcnn`."""

import sys

from maskrcnn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

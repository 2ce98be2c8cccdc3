"""The one exception type for everything a user can cause."""

from __future__ import annotations

from maskrcnn.text import one_line

LONGEST_MESSAGE = 2000
"""Characters; names and values in a message come from files and may be of any length."""


class UserError(Exception):
    """A mistake in the user's input: one line that says what was expected, what came, where, and what to do.

    The command line prints it without a traceback and exits with code 2. Whatever went into the message, it is shown
    printable, on one line, and shortened.
    """

    def __str__(self) -> str:
        return one_line(super().__str__(), LONGEST_MESSAGE)

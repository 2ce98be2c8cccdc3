"""The one exception type for everything a user can cause."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the user's input: one line that says what was expected, what came, where, and what to do.

    The command line prints it without a traceback and exits with code 2.
    """

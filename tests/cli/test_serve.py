"""The command's options; the server itself is tested in `tests/serve`."""

from __future__ import annotations

import pytest

from maskrcnn.cli import serve
from maskrcnn.errors import UserError


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LIBRARIES", {"json": "json", "no_such_module": "a-library", "nor_this": "another"})
    with pytest.raises(UserError, match="pip install a-library another"):
        serve.main([])


@pytest.mark.parametrize("value", ["", "a\nb", "schlüssel"])
def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OUR_KEY", value)
    with pytest.raises(UserError, match="--api-key-env OUR_KEY"):
        serve.main(["--api-key-env", "OUR_KEY"])


@pytest.mark.parametrize(
    "option", [["--port", "70000"], ["--max-queue", "-1"], ["--timeout", "0"], ["--max-batch", "0"]]
)
def test_limits_are_checked(option: list[str]) -> None:
    with pytest.raises(UserError, match="expected a number"):
        serve.main(option)

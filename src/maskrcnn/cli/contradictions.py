"""Settings that mean nothing beside others, or contradict them: what somebody gave is not dropped without a word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from maskrcnn.errors import UserError
from maskrcnn.settings import setting

if TYPE_CHECKING:
    from maskrcnn.config import Config

_ONLY_WITH: dict[str, tuple[str, object]] = {
    "schedule.gamma": ("schedule.name", "step"),
    "schedule.milestones": ("schedule.name", "step"),
    "optimizer.momentum": ("optimizer.name", "sgd"),
    "data.train_proposals": ("rpn.enabled", False),
    "data.val_proposals": ("rpn.enabled", False),
}
"""What another setting must be for this one to mean anything; those of a part also need the part itself."""

_FOLLOWS_FROM = {
    "schedule.steps": ("schedule.epochs", "schedule.minutes"),
    "train.batch_size": ("train.batch_memory",),
}
"""What is found out when training begins, where one of the second settings is not 0."""


def superseded(given: Mapping[str, object], config: Config) -> dict[str, str]:
    """What the settings that were given put out of force: of several ways to say one thing, the last word counts.

    Args:
        given: values by full names, such as "schedule.steps".
        config: all settings before, those of a file or of a saved run.

    Returns:
        The full names of settings that are to be 0 now, each with the name of the one that takes its place.
    """
    return {
        source: name
        for found, sources in _FOLLOWS_FROM.items()
        for name in (found, *sources)
        for source in sources
        if given.get(name) and source not in given and setting(config, source)
    }


def require_consistent(given: Collection[str], config: Config) -> None:
    """See that no setting that was given would be replaced by what follows from another.

    Args:
        given: full names, such as "schedule.steps".
        config: all settings, without those that are superseded.

    Raises:
        UserError: naming both.
    """
    for name, sources in _FOLLOWS_FROM.items():
        for source in sources:
            if name in given and (value := setting(config, source)):
                raise UserError(
                    f"{name}: contradicts {source}={value:g}, from which it follows; leave one of the two out"
                )


def without_effect(given: Collection[str], config: Config) -> Iterator[str]:
    """A line on each setting of those `given` that changes nothing beside the others in `config`."""
    for name in sorted(given):
        for needed, wanted in _needs(name, config):
            if (value := setting(config, needed)) != wanted:
                yield f"{name}: without effect, since {_assigned(needed, value)}; it is for {_assigned(needed, wanted)}"


def _needs(name: str, config: Config) -> Iterator[tuple[str, object]]:
    if name in _ONLY_WITH:
        yield _ONLY_WITH[name]
    section, _, field = name.partition(".")
    if field != "enabled" and hasattr(getattr(config, section), "enabled"):
        yield f"{section}.enabled", True


def _assigned(name: str, value: object) -> str:
    """As for `--set`."""
    return f"{name}={str(value).lower()}"

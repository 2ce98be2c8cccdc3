"""Weights to start a training with: what fits is taken over, what depends on the classes is made anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from maskrcnn.config import Config, InputConfig, ResNetConfig
from maskrcnn.errors import UserError
from maskrcnn.loading import find_model
from maskrcnn.settings import differing_settings, setting
from maskrcnn.structures import Categories
from maskrcnn.text import brief, one_line
from maskrcnn.training.widening import can_widen, widen
from maskrcnn.weights.checkpoint import read_checkpoint
from maskrcnn.weights.foreign import import_foreign
from maskrcnn.weights.hub import import_published, is_published
from maskrcnn.weights.tensor_file import is_tensor_file

_BOTTOM_UP = "backbone.bottom_up"
_STAGE_5 = f"{_BOTTOM_UP}.stages.3."
_ELSEWHERE = {"roi_layers.bottom_up.": f"{_BOTTOM_UP}.", "roi_layers.": _STAGE_5}
"""The same layers as the heads' first: the whole network in R-CNN, stage 5 with C4."""
_COUNTER = ".num_batches_tracked"
_NAMES_SHOWN = 5

TIED_TO_WEIGHTS = (
    *("input.channels", "input.rgb", "input.mean", "input.std"),
    *("resnet.stride_in_1x1", "resnet.norm_eps", "anchors.order"),
)
"""Settings that shape no weight and without which the weights do not mean the same."""


@dataclass(frozen=True)
class Initial:
    """The weights of a model, or of a backbone alone (then without categories), by our names."""

    source: str
    weights: Mapping[str, Tensor]
    config: Config
    categories: Categories

    def bind(self, config: Config) -> Config:
        """`config` with the settings that the weights were made for; other channels than RGB stay, see `widening`."""
        given, resnet = self.config.input, self.config.resnet
        widened = can_widen(given, config.input)
        return replace(
            config,
            input=config.input if widened else _with_channels_of(config.input, given),
            resnet=replace(config.resnet, stride_in_1x1=resnet.stride_in_1x1, norm_eps=self._norm_eps(config)),
            anchors=replace(config.anchors, order=self.config.anchors.order) if self.has_rpn else config.anchors,
        )

    def contradicted(self, config: Config) -> dict[str, Any]:
        """The settings of `TIED_TO_WEIGHTS` that are others in `config` than the weights need, and what they need."""
        bound = self.bind(config)
        return {name: setting(bound, name) for name in differing_settings(config, bound) if name in TIED_TO_WEIGHTS}

    def require_same_use(self, config: Config, file: str = "") -> None:
        """See that `config` uses the weights as they were trained; what does not stands in `file` if one is given.

        Raises:
            UserError: one of `TIED_TO_WEIGHTS` is another than they need.
        """
        if needed := self.contradicted(config):
            needs = " and ".join(f"{name}={value}" for name, value in needed.items())
            remedy = f"delete {' and '.join(needed)} from {file}" if file else "set it so, leave it out"
            raise UserError(f"{self.source}: these weights need {needs}; {remedy}, or choose other weights (--init)")

    def knows(self, categories: Categories) -> bool:
        """Whether the outputs mean these classes: the same names, or as many, some of them renamed.

        A name that has only moved to another place is no renaming.
        """
        theirs, ours = self.categories.names, categories.names
        renamed = renamings(self.categories, categories)
        return len(theirs) == len(ours) and not any(old in ours or new in theirs for old, new in renamed)

    def _norm_eps(self, config: Config) -> float:
        """What the norms were trained with: the setting is that of frozen ones, others have torch's own."""
        is_frozen_now = config.backbone.norm == "frozen_bn" and self.config.backbone.norm in ("bn", "sync_bn")
        return ResNetConfig().norm_eps if is_frozen_now else self.config.resnet.norm_eps

    @property
    def has_rpn(self) -> bool:
        """Whose outputs are in the anchors' order."""
        return any(name.startswith("rpn.") for name in self.weights)


def read_initial(name_or_path: str) -> Initial:
    """The weights of a bundled or published model, of a run's folder, or of a file of ours or of another library.

    Raises:
        UserError: there is no such model or file, it cannot be had, or it is damaged.
    """
    if is_published(name_or_path):
        imported = import_published(name_or_path)
        return Initial(name_or_path, imported.state_dict, imported.config, imported.categories)
    path = find_model(name_or_path)
    if is_tensor_file(path):
        weights, config, categories, _ = read_checkpoint(path)
        return Initial(name_or_path, weights, config, categories)
    imported = import_foreign(path)
    return Initial(name_or_path, imported.state_dict, imported.config, imported.categories)


def start_from(model: nn.Module, initial: Initial, config: Config, categories: Categories) -> str:
    """Copy into a new model what fits it, part by part.

    Args:
        model: with random weights.
        initial: where to take weights from.
        config: the model's settings.
        categories: the model's classes; where they are others than the weights' (`Initial.knows`), outputs per class
            stay random.

    Returns:
        What has been taken and what not, in one line.

    Raises:
        UserError: the backbone is another one, or it is to be used in another way than it was trained.
    """
    initial.require_same_use(config)
    target = model.state_dict()
    weights = _under_the_names_of(target, initial.weights)
    widened = widen(weights, target) if can_widen(initial.config.input, config.input) else ""
    anew = _outputs_of_other_classes(model, initial, categories)
    theirs = _parts(weights.keys() - target.keys())
    for part, names in _parts(target.keys() - anew).items():
        unfit = [name for name in names if not _fits(name, weights, target)]
        unfit += [name for name in theirs.get(part, ()) if not name.endswith(_COUNTER)]
        if unfit and part == _BOTTOM_UP:
            raise UserError(
                f"{initial.source}: these weights are of another backbone than {config.backbone.name} with these "
                f"settings ({min(unfit)}); use a preset or --set backbone.... that fits, or --init none"
            )
        anew |= set(names) if unfit else set()
    model.load_state_dict({n: weights[n] for n in target.keys() - anew if n in weights}, strict=False)
    changes = (
        widened,
        _renamed(initial, categories),
        _other_stuff(initial, categories),
        _other_anchors(initial, config),
    )
    return _said(initial.source, target, anew) + "".join(changes)


def _with_channels_of(settings: InputConfig, given: InputConfig) -> InputConfig:
    same = {name: getattr(given, name) for name in ("channels", "rgb", "drawn_channels", "mean", "std")}
    return replace(settings, **same)


def _under_the_names_of(target: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's layers where the target has them; without stage 5 if it has none (an RPN alone on C4)."""
    theirs = {_before_the_heads(name): name for name in target}
    has_stage_5 = any(name.startswith(_STAGE_5) for name in theirs)
    plain = {_before_the_heads(name): tensor for name, tensor in weights.items()}
    return {theirs.get(n, n): tensor for n, tensor in plain.items() if has_stage_5 or not n.startswith(_STAGE_5)}


def _before_the_heads(name: str) -> str:
    for elsewhere, usual in _ELSEWHERE.items():
        if name.startswith(elsewhere):
            return usual + name.removeprefix(elsewhere)
    return name


def renamings(theirs: Categories, ours: Categories) -> list[tuple[str, str]]:
    """Classes at the same place with other names: (old, new)."""
    return [(old, new) for old, new in zip(theirs.names, ours.names, strict=False) if old != new]


def _renamed(initial: Initial, categories: Categories) -> str:
    pairs = renamings(initial.categories, categories) if initial.knows(categories) else []
    shown = _listed([f"{old} -> {new}" for old, new in pairs])
    return f"; kept for classes of other names: {shown}" if pairs else ""


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return ", ".join(map(one_line, names[:_NAMES_SHOWN])) + more


def _other_stuff(initial: Initial, ours: Categories) -> str:
    """Classes that were stuff and have objects now, or the reverse: their outputs learned something else."""
    were, are = set(initial.categories.stuff_names), set(ours.stuff_names)
    known = set(initial.categories.names) & set(ours.names)
    kinds = {"stuff to it, but things": were - are, "things to it, but stuff": are - were}
    return "".join(
        f"; {kind} here (data.stuff, isthing): {_listed(sorted(names & known))}"
        for kind, names in kinds.items()
        if names & known
    )


def _other_anchors(initial: Initial, config: Config) -> str:
    """No error, since an RPN soon learns others; but the first weights do not mean these boxes."""
    theirs, ours = initial.config.anchors, config.anchors
    different = [name for name in ("sizes", "ratios") if getattr(theirs, name) != getattr(ours, name)]
    if not (different and config.rpn.enabled and initial.has_rpn):
        return ""
    learned, asked = (
        " and ".join(f"anchors.{name}={brief(getattr(anchors, name))}" for name in different)
        for anchors in (theirs, ours)
    )
    return f"; its RPN learned for {learned}, these settings have {asked}: the first steps learn them anew"


def _outputs_of_other_classes(model: nn.Module, initial: Initial, ours: Categories) -> set[str]:
    """The weights that mean nothing to other classes, and to other keypoints, as each branch says of its layers."""
    has_other_keypoints = initial.categories.keypoints != ours.keypoints
    kinds = {"class_outputs": not initial.knows(ours), "keypoint_outputs": has_other_keypoints}
    layers = {
        f"{part}.{layer}"
        for part, module in model.named_children()
        for kind, are_others in kinds.items()
        for layer in (getattr(module, kind, ()) if are_others else ())
    }
    return {name for name in model.state_dict() if name.rpartition(".")[0] in layers}


def _parts(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the part of the model they belong to; each part is taken whole or not at all."""
    parts: dict[str, list[str]] = {}
    for name in sorted(names):
        bottom_up = name.startswith((f"{_BOTTOM_UP}.", "roi_layers."))
        parts.setdefault(_BOTTOM_UP if bottom_up else name.partition(".")[0], []).append(name)
    return parts


def _fits(name: str, weights: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> bool:
    """A counter of batches may be missing: no result depends on it."""
    return name.endswith(_COUNTER) if name not in weights else weights[name].shape == target[name].shape


def _said(source: str, target: Mapping[str, Tensor], anew: set[str]) -> str:
    whole = {part for part, names in _parts(target).items() if anew.issuperset(names)}
    layers = {name.rpartition(".")[0] for name in anew if name.partition(".")[0] not in whole}
    made = ", ".join(sorted({"fpn" if part == "backbone" else part for part in whole} | layers))
    taken = f"{len(target) - len(anew)} of {len(target)} weights from {source}"
    return f"{taken}; made anew: {made}" if made else taken

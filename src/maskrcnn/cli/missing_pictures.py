"""`predict --resume`: pictures that finished images lack are drawn from their rows, without the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.large import by_size
from maskrcnn.marks import is_marked
from maskrcnn.text import counted

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.cli.prediction_run import Run
    from maskrcnn.loading import ModelFacts
    from maskrcnn.viz.drawing import Drawing


def draw_missing(run: Run, values: Namespace, drawing: Drawing) -> None:
    """Draw them; of the class of every pixel, which rows do not have, they cannot show anything.

    Raises:
        UserError: an image cannot be read any more, or a picture not be written.
    """
    from maskrcnn.loading import model_facts
    from maskrcnn.viz.drawing import USUAL

    waiting = set(run.waiting)
    done = [source for source in run.sources if source not in waiting]
    missing = [source for source in done if not _has_picture(run, source)]
    if len(missing) < len(done) and drawing != USUAL:
        there = counted(len(done) - len(missing), "picture")
        run.reporter.note(f"{there} there already, as drawn then; those that you delete are drawn anew")
    if not missing:
        return
    facts, lacking = model_facts(values.model), f"{counted(len(missing), 'finished image')} without a picture"
    if facts.config.semantic_head.enabled:
        run.reporter.note(f"{lacking}: rows do not have the class of every pixel; --overwrite predicts them anew")
        return
    run.reporter.note(f"{lacking}: drawn from the rows")
    _, cut = by_size(missing, facts.config, values)
    for source in missing:
        _draw(run, source, source in cut, facts, drawing)


def _has_picture(run: Run, source: Path) -> bool:
    return is_marked(run.overlays[source])


def _draw(run: Run, source: Path, is_cut: bool, facts: ModelFacts, drawing: Drawing) -> None:
    from maskrcnn.data.channels import Channels
    from maskrcnn.large.overview import Overview
    from maskrcnn.results.finished import prediction_of

    shown, path, rows = Overview(is_cut), run.overlays[source], list(run.rows.of(os.path.realpath(source)))
    for row in rows:
        shown.add(prediction_of(row, facts.categories, Channels.of(facts.config.input)))
    shown.prediction().save(path, drawing)

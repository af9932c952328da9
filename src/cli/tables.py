"""An evaluation's figures as tables for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from evaluation.picture import ratio
from evaluation.report import percent, shown
from evaluation.run import Evaluation


def accuracy_table(evaluation: Evaluation) -> Table:
    """How well the rooms of each set were found, and the mean over the sets."""
    table = _table(
        "set", "plans", "true", "found", "P50", "R50", "F50", "95 %", "F70", "F85", "mIoU", "split", "merged"
    )
    for name, row in evaluation.figures.items():
        table.add_row(
            _name(name if row.whole else f"{name} *"),
            *map(str, (row.plans, row.true, row.found)),
            *map(ratio, (row.precision, row.recall, row.f1[0])),
            f"{row.low:.3f}-{row.high:.3f}",
            *map(ratio, (row.f1[1], row.f1[2], row.mean_iou)),
            *map(str, (row.split, row.merged)),
        )
    mean = evaluation.mean
    if mean is not None and len(evaluation.figures) > 1:
        table.add_section()
        f50, f70, f85 = map(ratio, mean.f1)
        spread = f"{mean.low:.3f}-{mean.high:.3f}"
        table.add_row(f"mean of {mean.sets}", "", "", "", "", ratio(mean.recall), f50, spread, f70, f85, "", "", "")
    if not all(row.whole for row in evaluation.figures.values()):
        table.caption = "* rooms of it are not labelled: only its recall counts, and it is not in the mean"
    return table


def quality_table(evaluation: Evaluation) -> Table:
    """Of each set's matched rooms the words and areas that are right, the calibration error, and what it cost."""
    table = _table("set", "names", "numbers", "areas", "ECE", "p50 s", "p95 s", "peak MB")
    for run in evaluation.runs:
        row, cost = evaluation.figures.get(run.name), run.cost()
        shares = (
            [percent(part.value) for part in (row.labels, row.numbers, row.areas)] if row is not None else ["–"] * 3
        )
        table.add_row(
            _name(run.name),
            *shares,
            ratio(row.calibration_error if row is not None else None),
            *("–" if value is None else f"{value:.2f}" for value in (cost.seconds_p50_s, cost.seconds_p95_s)),
            f"{cost.peak_bytes / 1e6:.0f}",
        )
    if len(evaluation.runs) > 1:
        table.add_section()
        table.add_row("all", "", "", "", ratio(evaluation.calibration_error), "", "", "")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _name(text: str) -> Text:
    return Text(shown(text))  # not markup, whatever is in it

"""An evaluation as a JSON document: equal input gives equal text but for the times and the memory under `cost`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from evaluation.collect import Collection
from evaluation.figures import LEVELS, MeanFigures, PageScore, SetFigures, Share, reliability
from evaluation.run import Evaluation
from evaluation.truth import Problem

RECORD_VERSION: Final = 1
_NAMES: Final = tuple(f"F{100 * level:.0f}" for level in LEVELS)


def to_record(evaluation: Evaluation, collection: Collection) -> dict[str, Any]:
    """The evaluation as plain values, in a fixed order."""
    return {
        "schema": RECORD_VERSION,
        "model_version": evaluation.model_version,
        "settings": {name: value for name, value in asdict(evaluation.settings).items() if name != "threads"},
        "sets": {name: _set(figures) for name, figures in evaluation.figures.items()},
        "mean": _mean(evaluation.mean),
        "calibration_error": _short(evaluation.calibration_error),
        "reliability": [
            {
                "from": b.low,
                "to": b.high,
                "rooms": b.rooms,
                "confidence": _short(b.confidence),
                "right": _short(b.right),
            }
            for b in (reliability(evaluation.claims) if evaluation.claims else [])
        ],
        "plans": [
            {"set": run.name, "file": result.page.document.name, "page": result.page.page, **_page(result.score)}
            for run in evaluation.runs
            for result in run.results
            if result.score is not None
        ],
        "failed": [_problem(problem) for problem in (*collection.problems, *evaluation.problems)],
        "notes": [*collection.notes, *evaluation.notes],
        "cost": {
            "threads": evaluation.settings.threads,
            "sets": {run.name: asdict(run.cost()) for run in evaluation.runs},
            "plans_s": [_short(result.seconds_s) for run in evaluation.runs for result in run.results if result.score],
        },
    }


def _set(figures: SetFigures) -> dict[str, Any]:
    return {
        "plans": figures.plans,
        "true": figures.true,
        "found": figures.found,
        "whole_truth": figures.whole,
        "P50": _short(figures.precision),
        "R50": _short(figures.recall),
        **{name: _short(value) for name, value in zip(_NAMES, figures.f1, strict=True)},
        "low": _short(figures.low),
        "high": _short(figures.high),
        "mIoU": _short(figures.mean_iou),
        "split": figures.split,
        "merged": figures.merged,
        "labels": _share(figures.labels),
        "numbers": _share(figures.numbers),
        "areas": _share(figures.areas),
        "calibration_error": _short(figures.calibration_error),
    }


def _mean(mean: MeanFigures | None) -> dict[str, Any] | None:
    if mean is None:
        return None
    levels = {name: _short(value) for name, value in zip(_NAMES, mean.f1, strict=True)}
    return {"sets": mean.sets, "R50": _short(mean.recall), **levels, "low": _short(mean.low), "high": _short(mean.high)}


def _page(score: PageScore) -> dict[str, Any]:
    return {
        "true": score.true,
        "found": score.found,
        "hits": list(score.hits),
        "F50": _short(score.f1()),
        "split": score.split,
        "merged": score.merged,
    }


def _share(share: Share) -> dict[str, Any]:
    return {"right": share.hits, "of": share.of, "share": _short(share.value)}


def _problem(problem: Problem) -> dict[str, Any]:
    return {"plan": problem.where, "reason": problem.reason, "counts_as_nothing_found": problem.counted}


def _short(value: float | None) -> float | None:
    """The value without the digits that the order of adding up may change."""
    return None if value is None else round(value, 9)

"""What the tests of the evaluation share."""

from tests.unit.evaluation.labelled import scorer

__all__ = ["scorer"]

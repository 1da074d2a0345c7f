"""What training decides: which request becomes a run, which rows of a window are held out, how
much each of the others counts, and when a window must be archived."""

from services.training.domain.holdout import Cut, Limits, cut, newest
from services.training.domain.retention import Retention, Stretch, endangered
from services.training.domain.runs import Known, Resolution, Run, Runs, Wish
from services.training.domain.weights import EVEN, Weighing, weights

__all__ = [
    "EVEN",
    "Cut",
    "Known",
    "Limits",
    "Resolution",
    "Retention",
    "Run",
    "Runs",
    "Stretch",
    "Weighing",
    "Wish",
    "cut",
    "endangered",
    "newest",
    "weights",
]

"""What training decides: which request becomes a run, which rows of a window are held out, and when
a window must be archived."""

from services.training.domain.holdout import Cut, Limits, cut, newest
from services.training.domain.retention import Retention, Stretch, endangered
from services.training.domain.runs import Known, Resolution, Run, Runs, Wish

__all__ = [
    "Cut",
    "Known",
    "Limits",
    "Resolution",
    "Retention",
    "Run",
    "Runs",
    "Stretch",
    "Wish",
    "cut",
    "endangered",
    "newest",
]

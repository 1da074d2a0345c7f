"""What training decides: which request becomes a run, and which rows of a window are held out."""

from services.training.domain.holdout import Cut, Limits, cut, newest
from services.training.domain.runs import Known, Resolution, Run, Runs, Wish

__all__ = ["Cut", "Known", "Limits", "Resolution", "Run", "Runs", "Wish", "cut", "newest"]

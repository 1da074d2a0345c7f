"""From a table to a pipeline: what its columns are, the pipeline file that says so, and its rows
and labels as events in the order of their times.

Pure: frames in, text and frames out. `driftloop.cli.trying` acts.
"""

from __future__ import annotations

from driftloop.trial.draft import draft
from driftloop.trial.events import Events, events
from driftloop.trial.guess import Asked, Feature, Table, guess
from driftloop.trial.table import read

__all__ = ["Asked", "Events", "Feature", "Table", "draft", "events", "guess", "read"]

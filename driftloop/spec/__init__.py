"""What a pipeline file means: its model, its mistakes, expressions, window arithmetic. Pure: no
I/O, importable by all.
"""

from driftloop.spec.learner import Learner, Weights
from driftloop.spec.mistakes import Mistake, Mistakes
from driftloop.spec.model import (
    HEAD_COLUMNS,
    ROLE_BITS,
    ExprFeature,
    Feature,
    FieldFeature,
    Limits,
    Pipeline,
    Rule,
    Source,
    Target,
    WindowFeature,
)
from driftloop.spec.parse import json_schema, parse
from driftloop.spec.scalars import Duration, arrow_of, duration_text, duration_us, kind_of

__all__ = [
    "HEAD_COLUMNS",
    "ROLE_BITS",
    "Duration",
    "ExprFeature",
    "Feature",
    "FieldFeature",
    "Learner",
    "Limits",
    "Mistake",
    "Mistakes",
    "Pipeline",
    "Rule",
    "Source",
    "Target",
    "Weights",
    "WindowFeature",
    "arrow_of",
    "duration_text",
    "duration_us",
    "json_schema",
    "kind_of",
    "parse",
]

"""What evaluation decides: how good a model is, in numbers, and whether one is better than
another.
"""

from services.evaluation.domain.gate import Judgement, Rule, Ruling, judge
from services.evaluation.domain.kinds import Figures, figures, losses_of, without_model
from services.evaluation.domain.limits import Case, Limits, barred
from services.evaluation.domain.metrics import Scored, base_rate, losses, score

__all__ = [
    "Case",
    "Figures",
    "Judgement",
    "Limits",
    "Rule",
    "Ruling",
    "Scored",
    "barred",
    "base_rate",
    "figures",
    "judge",
    "losses",
    "losses_of",
    "score",
    "without_model",
]

"""What evaluation decides: how good a model is, in numbers, and whether one is better than
another.
"""

from services.evaluation.domain.gate import Judgement, Rule, Ruling, judge
from services.evaluation.domain.metrics import Scored, base_rate, losses, score

__all__ = ["Judgement", "Rule", "Ruling", "Scored", "base_rate", "judge", "losses", "score"]

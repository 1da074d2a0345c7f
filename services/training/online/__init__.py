"""Online learners: they learn each row of `examples` once, as its label comes, and go out as
snapshots."""

from services.training.online.plan import LinePlan
from services.training.online.snapshots import newest

__all__ = ["LinePlan", "newest"]

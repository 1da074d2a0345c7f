"""What own packages may bring along: learners, detectors, connectors, found through entry points.

A package says `[project.entry-points."driftloop.learners"]` and is found once it is installed; the
shipped ones are declared in the same form, `name = "module:attribute"`. Nothing here imports
anything but numpy.
"""

from driftloop.plugins.found import Unknown, find, names
from driftloop.plugins.learners import LEARNERS, Examples, Learner, Learnt

CONNECTORS = "driftloop.connectors"
DETECTORS = "driftloop.detectors"

__all__ = [
    "CONNECTORS",
    "DETECTORS",
    "LEARNERS",
    "Examples",
    "Learner",
    "Learnt",
    "Unknown",
    "find",
    "names",
]

"""What a pipeline file says of an estimator, held against what there is (driftloop.spec.learners).

A file is checked before it is declared; a model that is made again, or a learner that is called
from elsewhere, comes here all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftloop.spec.learners import Estimator, target_kind, twin
from driftloop.spec.mistakes import one_of


def checked(
    kind: str, known: Mapping[str, Estimator], params: Mapping[str, Any], classes: int
) -> tuple[str, dict[str, Any]]:
    """The estimator's name and its own parameters. All mistakes in one ValueError."""
    own = dict(params)
    name = own.pop("estimator", None)
    target = target_kind(classes)
    fitting = [each for each, one in known.items() if target in one.targets]
    if name not in known:
        raise ValueError(f"estimator: found {name!r}, wanted {one_of(fitting, str(name))}")
    if name not in fitting:
        raise ValueError(
            f"estimator: found {name}, which is not for a {target} target, "
            f"wanted {one_of(fitting, twin(name))}"
        )
    mistakes = [
        f"{param}: {name} of {kind} has no such parameter, wanted "
        f"{one_of(known[name].params, param)}"
        for param in own
        if param not in known[name].params
    ]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return name, own

"""What a learner of a pipeline file means: its kind, its estimator, their parameters, its weights,
each held against what there is and against the target.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from driftloop.spec.learner import Learner
from driftloop.spec.learners import DEFAULTS, ESTIMATORS, ONLINE, PARAMS, twin
from driftloop.spec.lines import Path
from driftloop.spec.mistakes import one_of
from driftloop.spec.model import Target

Wrong = Callable[[Path, str, str], None]


class Apprentice:
    """One learner that stands at `path`. `target` None: it can't be read."""

    def __init__(self, learner: Learner, target: Target | None, path: Path, wrong: Wrong) -> None:
        self._learner, self._target, self._path, self._wrong = learner, target, path, wrong

    def check(self, kinds: Collection[str] | None) -> None:
        """`kinds`: those that there are; None: any may be one."""
        kind = self._learner.kind
        if kinds is not None and kind not in kinds:
            self._wrong((*self._path, "kind"), f"the unknown kind {kind!r}", one_of(kinds, kind))
        elif kind in ESTIMATORS:
            self._estimator()
        else:
            if kind in PARAMS and self._learner.estimator is not None:
                found = f"estimator: {self._learner.estimator}"
                self._wrong((*self._path, "estimator"), found, f"none: {kind} has but one")
            self._params(kind, PARAMS.get(kind))
        self._weights()
        if self._learner.snapshot is not None:
            self._line()
        elif self._learner.newest_rows is not None:
            at = (*self._path, "window")
            self._wrong(at, f"{self._learner.window} without a snapshot", "newest <duration>")

    def _line(self) -> None:
        """It learns each row once, or is fitted on its newest rows; a search belongs to a run."""
        learner = self._learner
        if learner.newest_rows is None and learner.kind not in ONLINE:
            found = f"{learner.kind}, which can't learn on, with window: {learner.window}"
            self._wrong((*self._path, "window"), found, "newest <number> rows")
        elif learner.newest_rows is None and learner.window != "all":
            self._wrong((*self._path, "window"), f"{learner.window} with a snapshot", "none")
        for name in ("search", "weights"):
            if getattr(learner, name) != Learner.model_fields[name].get_default(
                call_default_factory=True
            ):
                self._wrong((*self._path, name), f"{name} with a snapshot", "none")

    def _estimator(self) -> None:
        kind, known = self._learner.kind, ESTIMATORS[self._learner.kind]
        name = self._learner.estimator or DEFAULTS.get(kind)
        target = self._target.kind if self._target else None
        fitting = [each for each, one in known.items() if target is None or target in one.targets]
        at = (*self._path, "estimator" if self._learner.estimator else "kind")
        if not fitting:
            self._wrong(at, f"{kind}, which has none for kind: {target}", "another kind")
        elif name is None:
            self._wrong(at, f"{kind} without an estimator", one_of(fitting))
        elif name not in known:
            self._wrong(at, f"the unknown estimator {name!r}", one_of(fitting, name))
        elif name not in fitting:
            found = f"{name!r}, which is not for kind: {target}"
            self._wrong(at, found, one_of(fitting, twin(name)))
        else:
            self._params(name, known[name].params)

    def _params(self, whose: str, known: Collection[str] | None) -> None:
        search = self._learner.search
        named: list[tuple[Path, str]] = [(("params", name), name) for name in self._learner.params]
        named += [(("search", "space", name), name) for name in (search.space if search else ())]
        for path, name in named if known is not None else ():
            if name not in (known or ()):
                found = f"{name!r}, which {whose} has not"
                self._wrong((*self._path, *path), found, one_of(known or (), name))

    def _weights(self) -> None:
        given = self._learner.weights.classes
        if given is None or self._target is None:
            return
        at = (*self._path, "weights", "classes")
        if self._target.kind == "regression":
            self._wrong(at, "weights of classes with kind: regression", "none")
            return
        names = self._target.class_names
        for name in given if not isinstance(given, str) else ():
            if name not in names:
                self._wrong(at, f"the unknown class {name!r}", one_of(names, name))

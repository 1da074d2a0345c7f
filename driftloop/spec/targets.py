"""What a target must say, by its kind; and that what judges and watches is a loss of that kind.

Part of `meaning`, which gives the way to note a mistake and to read an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from driftloop.spec.lines import Path
from driftloop.spec.model import Target
from driftloop.spec.parts import Parts

_WHOLE = re.compile(r"0|-?[1-9]\d*")

Wrong = Callable[[Path, str, str], None]  # path, found, wanted
Read = Callable[[str, Mapping[str, str], Path, str | None], str | None]  # → the expression's kind


class Aim:
    """A target over a source whose fields have `types`, those of the label's rows."""

    def __init__(
        self, target: Target, types: Mapping[str, str], parts: Parts, wrong: Wrong, read: Read
    ) -> None:
        self._target, self._types, self._parts = target, types, parts
        self._wrong, self._read = wrong, read

    def check(self) -> None:
        """Note all that does not fit."""
        kind = self._target.kind
        if kind == "binary":
            self._binary()
        else:
            self._multiclass() if kind == "multiclass" else self._regression()
            self._only_binary()
        self._losses()

    def _binary(self) -> None:
        target = self._target
        if target.positive is None:
            wanted = f"positive: an expression over {target.from_}"
            self._wrong(("target",), "kind: binary without positive", wanted)
        else:
            self._read(target.positive, self._types, ("target", "positive"), "truth")
        if target.value is not None:
            self._wrong(("target", "value"), "value with kind: binary", "positive alone")
        if len(set(target.classes)) not in (0, 2) or len(target.classes) > 2:
            found = f"{len(target.classes)} classes with kind: binary"
            self._wrong(("target",), found, "classes: none, or two names, the positive one last")

    def _multiclass(self) -> None:
        target = self._target
        kind = self._value(None, "a string or a whole number")
        if kind == "truth":
            wanted = "a string or a whole number; kind: binary foretells a truth"
            self._wrong(("target", "value"), f"{target.value!r}, a truth", wanted)
        if len(set(target.classes)) < max(2, len(target.classes)):
            self._wrong(
                ("target", "classes") if target.classes else ("target",),
                f"classes: [{', '.join(target.classes)}] with kind: multiclass",
                "two names or more, each once: all that the value can be",
            )
        for name in target.classes if kind == "number" else ():
            if not _WHOLE.fullmatch(name):
                self._wrong(("target", "classes"), repr(name), "a whole number, as the value is")

    def _regression(self) -> None:
        self._value("number", "a number")
        if self._target.classes:
            self._wrong(("target", "classes"), "classes with kind: regression", "none")

    def _value(self, kind: str | None, wanted: str) -> str | None:
        """The kind of the value's expression; None: there is none that can be read."""
        target = self._target
        if target.value is not None:
            return self._read(target.value, self._types, ("target", "value"), kind)
        wanted = f"value: an expression over {target.from_} that gives {wanted}"
        self._wrong(("target",), f"kind: {target.kind} without value", wanted)
        return None

    def _only_binary(self) -> None:
        target = self._target
        if target.positive is not None:
            found = f"positive with kind: {target.kind}"
            self._wrong(("target", "positive"), found, "value alone")
        if "threshold" in target.model_fields_set:
            self._wrong(
                ("target", "threshold"),
                f"threshold with kind: {target.kind}",
                "none: it divides the two classes of kind: binary",
            )

    def _losses(self) -> None:
        """A default always fits; what stands in the file may not."""
        target, judged, watched = self._target, self._parts.evaluation, self._parts.monitor
        if judged is not None and "metric" in judged.model_fields_set:
            fits = judged.metric == target.loss or target.kind != "regression"
            self._loss(("evaluation", "metric"), judged.metric, fits)
        for index, each in enumerate(watched.detectors if watched is not None else ()):
            if "on" in each.model_fields_set:
                path = ("monitor", "detectors", index, "on")
                self._loss(path, each.on, each.on == target.loss)

    def _loss(self, path: Path, found: str, fits: bool) -> None:
        if not fits:
            self._wrong(path, f"{found} with kind: {self._target.kind}", self._target.loss)

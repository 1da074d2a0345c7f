"""What the parts of a pipeline file mean together: names that must exist, types that must fit,
truths that must follow.

Each check looks at its part alone and notes what is wrong; a part that could not be read is None
and is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from driftloop.spec import expression
from driftloop.spec.apprentice import Apprentice
from driftloop.spec.lines import Document, Path, dotted
from driftloop.spec.mistakes import Mistake, one_of
from driftloop.spec.model import Feature, Source, Target, WindowFeature
from driftloop.spec.parts import Parts
from driftloop.spec.scalars import kind_of
from driftloop.spec.targets import Aim

# The names of the topics that we make for a pipeline (topics/pipeline, topics/generation); a test
# compares them.
PIPELINE_SUFFIXES = ("scores", "dead", "statistics", "quality")
TIME = {"time": "time"}  # the event time, in any expression
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_WORDS = expression.FUNCTIONS | {
    "and",
    "or",
    "not",
    "if",
    "else",
    "in",
    "True",
    "False",
    "None",
    "is",
    "lambda",
}


class Checker:
    """Collects mistakes. `parts` are looked at in the file's order."""

    def __init__(
        self, parts: Parts, document: Document, kinds: Collection[str] | None = None
    ) -> None:
        self._parts = parts
        self._kinds = kinds
        self._document = document
        self.mistakes: list[Mistake] = []

    def check(self) -> list[Mistake]:
        """All that does not fit."""
        self._name()
        self._roles()
        for index, source in enumerate(self._parts.sources):
            self._source(source, self._parts.path("sources", index))
        self._entities()
        self._features()
        if self._parts.target is not None:
            self._target(self._parts.target)
        self._learners()
        self._slices()
        return self.mistakes

    def _wrong(self, path: Path, found: str, wanted: str) -> None:
        self.mistakes.append(Mistake(self._document.line(path), dotted(path), found, wanted))

    def _unknown(self, path: Path, what: str, name: str, known: Mapping[str, object]) -> None:
        if name not in self._parts.lost:
            self._wrong(path, f"the unknown {what} {name!r}", one_of(known, name))

    def _unique(self, part: str, names: list[str]) -> None:
        for index, name in enumerate(names):
            if name in names[:index]:
                self._wrong(
                    (*self._parts.path(part, index), "topic" if part == "sources" else "name"),
                    f"{name!r} a second time",
                    "each name once",
                )

    def _name(self) -> None:
        if self._parts.name is not None and self._parts.name.split("-")[0] == "driftloop":
            self._wrong(("name",), repr(self._parts.name), "another name: driftloop is our own")

    # Sources

    def _roles(self) -> None:
        topics = [source.topic for source in self._parts.sources]
        self._unique("sources", topics)
        predicting = [
            index for index, source in enumerate(self._parts.sources) if "predict" in source.roles
        ]
        for index in predicting[1:]:
            self._wrong(
                (*self._parts.path("sources", index), "role"),
                "a second source with the role predict",
                "one",
            )
        if not predicting and not self._parts.lost:
            self._wrong(
                ("sources",),
                "no source with the role predict",
                "one: its rows are those that are scored",
            )

    def _source(self, source: Source, path: Path) -> None:
        self._topic(source, path)
        self._fields(source, path)
        for key, names in (("id", source.id), ("joins", source.joins)):
            self._fields_named((*path, key), names, source)
        if source.time not in source.fields:
            self._unknown((*path, "time"), "field", source.time, source.fields)
        elif kind_of(source.fields[source.time]) != "time" or source.fields[source.time].endswith(
            "?"
        ):
            self._wrong(
                (*path, "time"),
                f"{source.time!r} of type {source.fields[source.time]}",
                "a field of type time, time[s], time[ms] or time[us] that is always there",
            )
        self._joins(source, path)
        for index, rule in enumerate(source.rules):
            self._expression(
                rule.that, {**source.fields, **TIME}, (*path, "rules", index, "that"), "truth"
            )

    def _topic(self, source: Source, path: Path) -> None:
        name = self._parts.name or ""
        ours = source.topic.startswith("driftloop.") or re.fullmatch(
            rf"{re.escape(name)}\.(g\d+\..*|{'|'.join(PIPELINE_SUFFIXES)})", source.topic
        )
        if ours:
            self._wrong((*path, "topic"), repr(source.topic), "a topic that is not one of our own")

    def _fields(self, source: Source, path: Path) -> None:
        for name, kind in source.fields.items():
            at = (*path, "schema", name)
            if not _FIELD.fullmatch(name) or name in _WORDS:
                self._wrong(
                    at,
                    repr(name),
                    "a word of letters, digits and _ that begins with a letter, up to 60, "
                    "and is no function or operator",
                )
            elif name == "time" and source.time != "time":
                self._wrong(
                    at,
                    "a field named time that is not the source's time",
                    "another name: time is the event time",
                )
            for other in self._parts.sources[: self._parts.sources.index(source)]:
                if name in other.fields and kind_of(other.fields[name]) != kind_of(kind):
                    self._wrong(
                        at,
                        f"{name} of type {kind}",
                        f"{other.fields[name]}, as in {other.topic}: one name, one type",
                    )

    def _fields_named(self, path: Path, names: tuple[str, ...], source: Source) -> None:
        for index, name in enumerate(names):
            if name not in source.fields:
                self._unknown((*path, index), "field", name, source.fields)
            elif kind_of(source.fields[name]) == "float":
                self._wrong(
                    (*path, index),
                    f"{name!r} of type float",
                    "a string, int, bool or time: floats do not spell an id",
                )
            elif path[-1] == "id" and source.fields[name].endswith("?"):
                self._wrong(
                    (*path, index), f"{name!r} that may be missing", "a field that is always there"
                )

    def _joins(self, source: Source, path: Path) -> None:
        predict = self._parts.predict()
        if predict is None:
            return
        if source is predict:
            if source.joins:
                self._wrong(
                    (*path, "joins"),
                    "joins on the source that is predicted",
                    "none: other rows join these",
                )
            return
        if "label" in source.roles and not source.joins:
            self._wrong(
                path,
                "a label source without joins",
                "joins: the fields that spell the id of the labelled row",
            )
        if source.joins and not predict.id:
            self._wrong(
                (*path, "joins"),
                f"joins, but {predict.topic} has no id",
                f"an id of fields in {predict.topic}",
            )
        elif source.joins:
            self._joins_fit(source, predict, path)

    def _joins_fit(self, source: Source, predict: Source, path: Path) -> None:
        kinds = [kind_of(source.fields.get(name, "?")) for name in source.joins]
        wanted = [kind_of(predict.fields.get(name, "?")) for name in predict.id]
        if kinds != wanted and "" not in kinds + wanted:
            self._wrong(
                (*path, "joins"),
                f"[{', '.join(source.joins)}] ({', '.join(kinds)})",
                f"as many fields and of the same types as the id of {predict.topic}: "
                f"[{', '.join(predict.id)}] ({', '.join(wanted)})",
            )

    # Entities and features

    def _entities(self) -> None:
        fields: dict[str, str] = dict(TIME)
        for source in self._parts.sources:
            fields |= source.fields
        for name, components in self._parts.entities.items():
            if not _FIELD.fullmatch(name):
                self._wrong(("entities", name), repr(name), "a word of letters, digits and _")
            for index, component in enumerate(components):
                self._expression(component, fields, ("entities", name, index), None)

    def _features(self) -> None:
        self._unique("features", [feature.name for feature in self._parts.features])
        predict = self._parts.predict()
        above: dict[str, str] = {**(predict.fields if predict else {}), **TIME}
        fields = set(above)
        for index, feature in enumerate(self._parts.features):
            path = self._parts.path("features", index)
            if not _FIELD.fullmatch(feature.name) or feature.name in _WORDS:
                self._wrong(
                    (*path, "name"),
                    repr(feature.name),
                    "a word of letters, digits and _, no function or operator",
                )
            if feature.name in fields and getattr(feature, "field", "") != feature.name:
                self._wrong(
                    (*path, "name"), f"{feature.name!r}, which is a field", "a name of its own"
                )
            if isinstance(feature, WindowFeature):
                self._window(feature, path)
            elif predict is not None and hasattr(feature, "field"):
                self._own_field(feature, predict, path)
            elif predict is not None and hasattr(feature, "expr"):
                self._expression(feature.expr, above, (*path, "expr"), None)
            above.setdefault(feature.name, "float")
        if self._parts.features and all(feature.hidden for feature in self._parts.features):
            self._wrong(("features",), "hidden features only", "at least one that the model sees")

    def _own_field(self, feature: Feature, predict: Source, path: Path) -> None:
        name, encode = getattr(feature, "field", ""), getattr(feature, "encode", "none")
        if name not in predict.fields:
            self._unknown((*path, "field"), "field", name, predict.fields)
        elif (kind_of(predict.fields[name]) == "string") != (encode == "ordinal"):
            self._wrong(
                (*path, "encode"),
                f"{encode} for {name!r} of type {predict.fields[name]}",
                "encode: ordinal for strings, none for all else",
            )

    def _window(self, feature: WindowFeature, path: Path) -> None:
        known = self._parts.by_topic()
        self._keys_of(feature, path)
        if feature.from_ not in known:
            self._unknown((*path, "from"), "source", feature.from_, known)
        else:
            types = {**known[feature.from_].fields, **TIME}
            if feature.value is not None:
                self._expression(feature.value, types, (*path, "value"), "number")
            if feature.where is not None:
                self._expression(feature.where, types, (*path, "where"), "truth")
        if feature.by not in self._parts.entities:
            self._unknown((*path, "by"), "entity", feature.by, self._parts.entities)
        else:
            self._entity_there(feature, path)
        if feature.closes is not None:
            self._closes(feature, feature.closes.source, path)

    def _keys_of(self, feature: WindowFeature, path: Path) -> None:
        latest = feature.agg in ("last", "age")
        needed = {
            "max_age" if latest else "window",
            *{
                "sum": ["value"],
                "mean": ["value"],
                "last": ["value"],
                "share": ["where"],
                "open": ["closes"],
            }.get(feature.agg, []),
        }
        allowed = needed | {"where"} | ({"shrink"} if feature.agg in ("mean", "share") else set())
        allowed -= {"where"} if feature.agg == "open" else set()
        for key in ("window", "max_age", "value", "where", "shrink", "closes"):
            given = getattr(feature, key) is not None
            if key in needed and not given:
                self._wrong(path, f"agg: {feature.agg} without {key}", f"{key}")
            elif given and key not in allowed:
                self._wrong(
                    (*path, key),
                    f"{key} with agg: {feature.agg}",
                    f"only {', '.join(sorted(allowed))}",
                )

    def _entity_there(self, feature: WindowFeature, path: Path) -> None:
        known, predict = self._parts.by_topic(), self._parts.predict()
        needed = {name for each in self._parts.entities[feature.by] for name in _names(each)}
        for source in (known.get(feature.from_), predict):
            lacking = needed - {*source.fields, "time"} if source is not None else set()
            if source is not None and lacking and not self._parts.lost & lacking:
                self._wrong(
                    (*path, "by"),
                    f"entity {feature.by!r} needs {', '.join(sorted(lacking))}, which "
                    f"{source.topic} lacks",
                    "an entity whose fields both sources have",
                )

    def _closes(self, feature: WindowFeature, closing: str, path: Path) -> None:
        known, predict = self._parts.by_topic(), self._parts.predict()
        if closing not in known:
            self._unknown((*path, "closes", "source"), "source", closing, known)
        elif not known[closing].joins and not self._parts.lost:
            self._wrong(
                (*path, "closes", "source"),
                f"{closing!r}, which joins nothing",
                "a source with joins",
            )
        if predict is not None and feature.from_ in known and feature.from_ != predict.topic:
            self._wrong(
                (*path, "from"),
                repr(feature.from_),
                f"{predict.topic}: its rows are those that others join",
            )

    # Learners and target

    def _learners(self) -> None:
        learners = self._parts.learners
        self._unique("learners", [learner.name for learner in learners])
        if learners and all(learner.snapshot for learner in learners):
            self._wrong(("learners",), "snapshots alone", "a first model: one without a snapshot")
        for index, learner in enumerate(learners):
            path = self._parts.path("learners", index)
            Apprentice(learner, self._parts.target, path, self._wrong).check(self._kinds)

    def _slices(self) -> None:
        judged = self._parts.evaluation
        shown = {each.name: each for each in self._parts.features if not each.hidden}
        for name in judged.slices if judged else ():
            if name not in shown and "features" not in self._parts.lost:
                self._unknown(("evaluation", "slices"), "feature", name, shown)

    def _target(self, target: Target) -> None:
        known = self._parts.by_topic()
        if target.from_ not in known:
            self._unknown(("target", "from"), "source", target.from_, known)
            return
        source = known[target.from_]
        if "label" not in source.roles:
            self._wrong(
                ("target", "from"),
                f"{target.from_!r} without the role label",
                "a source with role: [label]",
            )
        types = {**source.fields, **TIME}
        Aim(target, types, self._parts, self._wrong, self._expression).check()

    def _expression(
        self, text: str, types: Mapping[str, str], path: Path, kind: str | None
    ) -> str | None:
        """Its kind, if it can be read."""
        try:
            compiled = expression.compile(text, types)
        except expression.WrongExpression as error:
            if error.name not in self._parts.lost or not error.name:
                wanted = (
                    one_of(types, error.name)
                    if error.name
                    else "an expression (arithmetic, comparisons, functions)"
                )
                self._wrong(path, f"{text!r}: {error}", wanted)
            return None
        if kind is not None and compiled.kind != kind:
            self._wrong(path, f"{text!r}, a {compiled.kind}", f"a {kind}")
        return compiled.kind


def _names(component: str) -> frozenset[str]:
    try:
        return expression.names_of(component)
    except expression.WrongExpression:
        return frozenset()

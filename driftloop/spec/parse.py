"""From the text of a pipeline file to a Pipeline, or to all of its mistakes at once. Nothing in the
file is executed.

A part that is broken is noted and taken out, so that the rest is still looked at; what merely
refers to such a part is not called a mistake too.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, cast, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from driftloop.spec.lines import Document, Path, dotted, read
from driftloop.spec.meaning import Checker
from driftloop.spec.mistakes import Mistake, Mistakes, one_of
from driftloop.spec.model import Pipeline
from driftloop.spec.parts import Parts

LISTS = ("sources", "features", "learners")


def parse(text: str, name: str = "pipeline.yaml", kinds: Collection[str] | None = None) -> Pipeline:
    """The pipeline that `text` declares. Raises Mistakes with all that is wrong, each with its
    line.

    `kinds`: those of the learners that there are, where the reader knows what is installed; None:
    any name may be one.
    """
    document = read(text, name)
    if not isinstance(document.data, dict):
        raise Mistakes(
            name,
            [
                Mistake(
                    1,
                    "file",
                    f"a {type(document.data).__name__}",
                    "keys: name, sources, features, …",
                )
            ],
        )
    mistakes = _shape(document)
    mistakes += Checker(_parts(document.data), document, kinds).check()
    if mistakes:
        raise Mistakes(name, mistakes)
    return Pipeline.model_validate(document.data)


def json_schema() -> dict[str, Any]:
    """The file's JSON Schema, for editors."""
    return Pipeline.model_json_schema(by_alias=True)


def _shape(document: Document) -> list[Mistake]:
    """Keys and types alone."""
    try:
        Pipeline.model_validate(document.data)
    except ValidationError as errors:
        return [_mistake(error, document) for error in _own(errors)]
    return []


def _own(errors: ValidationError) -> list[ErrorDetails]:
    """All but "too short" of a list whose items are all unsound: no mistake of its own."""
    return [
        error
        for error in errors.errors(include_url=False)
        if not (error["type"] == "too_short" and error["input"])
    ]


def _mistake(error: ErrorDetails, document: Document) -> Mistake:
    path = _plain(error["loc"], document)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(path[-1])
        found, wanted = f"the unknown key {key!r}", one_of(_keys_at(error["loc"][:-1]), key)
    elif kind == "missing":
        found, wanted = "nothing", "this key; it has no default"
    elif kind == "spec":
        found, wanted = str(context["found"]), str(context["wanted"])
    else:
        found, wanted = _shortened(error["input"]), _lower(error["msg"])
    return Mistake(document.line(path), dotted(path), found, wanted)


def _plain(loc: tuple[int | str, ...], document: Document) -> Path:
    """The path without the words that pydantic adds for members of a union; a missing key stays at
    its end.
    """
    path: Path = ()
    for index, part in enumerate(loc):
        if (*path, part) in document.lines or (index == len(loc) - 1 and part not in _TAGS):
            path = (*path, part)
    return path


_TAGS = frozenset({"<field>", "<expr>", "<window>"})  # of model.Feature


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _lower(message: str) -> str:
    message = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _keys_at(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a mapping at `loc` may have: walks the models as pydantic did."""
    models: list[type[BaseModel]] = [Pipeline]
    for part in loc:
        inner: list[type[BaseModel]] = []
        for model in models:
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            if part in fields:
                inner += _models_in(fields[str(part)].annotation)
        if inner:
            models = inner
        elif part in _TAGS:
            models = [
                model
                for model in models
                if model.__name__.lower().startswith(str(part).strip("<>"))
            ] or models
    return sorted(
        {field.alias or name for model in models for name, field in model.model_fields.items()}
    )


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _parts(data: dict[str, Any]) -> Parts:
    """All that can be read for itself; the names in what cannot are `lost`."""
    lost: set[str] = set()
    taken: dict[str, Any] = {}
    positions: dict[str, list[int]] = {}
    for part in ("name", "entities", "target", "evaluation", "monitor"):
        taken[part] = _read(part, data.get(part), lost)
    for part in LISTS:
        items = data.get(part)
        read_items = [
            (index, _read(part, [item], lost))
            for index, item in enumerate(items if isinstance(items, list) else [])
        ]
        positions[part] = [index for index, item in read_items if item]
        taken[part] = tuple(item[0] for _, item in read_items if item)
    return Parts(
        taken["name"],
        taken["sources"],
        taken["entities"] or {},
        taken["features"],
        taken["target"],
        taken["learners"],
        taken["evaluation"],
        taken["monitor"],
        positions,
        frozenset(lost),
    )


def _read(part: str, value: Any, lost: set[str]) -> Any:
    field = Pipeline.model_fields[part]
    adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, _annotated(field)))
    for _ in range(100):  # more mistakes than that in one item are not taken apart
        try:
            return adapter.validate_python(value)
        except ValidationError as errors:
            value = _without(value, _own(errors), lost)
            if value is None:
                return None
    return None


def _annotated(field: Any) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _without(value: Any, errors: list[ErrorDetails], lost: set[str]) -> Any:
    """`value` without its unknown keys; None (and its names lost) if more is wrong with it."""
    if any(error["type"] != "extra_forbidden" for error in errors):
        _lose(value, lost)
        return None
    for error in errors:
        value = _cut(
            value, [part for part in error["loc"] if part not in _TAGS or part == error["loc"][-1]]
        )
    return value


def _cut(value: Any, path: list[int | str]) -> Any:
    if isinstance(value, dict):
        if len(path) == 1:
            return {key: inner for key, inner in value.items() if key != path[0]}
        return {
            key: _cut(inner, path[1:]) if key == path[0] else inner for key, inner in value.items()
        }
    if isinstance(value, list) and path and isinstance(path[0], int):
        return [
            _cut(inner, path[1:]) if index == path[0] else inner
            for index, inner in enumerate(value)
        ]
    return value


def _lose(value: Any, lost: set[str]) -> None:
    if isinstance(value, str):
        lost.add(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            lost.add(key)
            _lose(inner, lost)
    elif isinstance(value, list):
        for inner in value:
            _lose(inner, lost)

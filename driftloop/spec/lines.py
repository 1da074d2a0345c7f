"""YAML with line numbers: plain values, and for each path the line on which it stands. Nothing in
the file is executed.

Only what `yaml.SafeLoader` makes of scalars is taken: strings, numbers, truth values, nothing.
Anchors are resolved; aliases that would multiply are bounded by the number of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from driftloop.spec.mistakes import Mistake, Mistakes

Path = tuple[str | int, ...]
CHARACTERS_MAX = 1_000_000  # a pipeline file is read by hand; 1 MB is a thousand times that
VALUES_MAX = 100_000  # "billion laughs" by aliases ends here
DEPTH_MAX = 30  # the deepest path of a pipeline file is 6


@dataclass(frozen=True, slots=True)
class Document:
    """`data` as plain Python values; `lines[path]` counts from 1, a mapping's entry by its key's
    line.
    """

    data: object
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest parent that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, name: str) -> Document:
    """The document of `text`. Raises Mistakes for bad YAML, doubled keys and values that YAML can't
    say plainly.
    """
    if len(text) > CHARACTERS_MAX:
        raise Mistakes(
            name, [Mistake(1, "file", f"{len(text)} characters", f"at most {CHARACTERS_MAX}")]
        )
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise Mistakes(name, [_not_yaml(error)]) from error
    if node is None:
        raise Mistakes(
            name,
            [
                Mistake(
                    1, "file", "nothing", "a pipeline: name, sources, features, target, learners"
                )
            ],
        )
    reader = _Reader()
    data = reader.value(node, ())
    if reader.mistakes:
        raise Mistakes(name, reader.mistakes)
    return Document(data, reader.lines)


def dotted(path: Path) -> str:
    """`('features', 3, 'by')` as `features[3].by`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


def _not_yaml(error: Exception) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    return Mistake(
        mark.line + 1 if mark else 1, "file", f"no YAML ({problem})", "YAML 1.1 in UTF-8"
    )


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.mistakes: list[Mistake] = []
        self._scalars = yaml.SafeLoader("")
        self._left = VALUES_MAX

    def value(self, node: yaml.Node, path: Path) -> object:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._left -= 1
        if self._left < 0 or len(path) > DEPTH_MAX:
            self._wrong(
                line,
                path,
                "too many values or too deep",
                f"{VALUES_MAX} values, {DEPTH_MAX} levels",
            )
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            line = key_node.start_mark.line + 1
            if not key or key in found or key == "<<":
                what = (
                    f"the key {key!r} twice"
                    if key in found
                    else f"a key that is no plain word ({key!r})"
                )
                self._wrong(line, (*path, key), what, "each key once, a plain word")
                continue
            self.lines[(*path, key)] = line
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        line = node.start_mark.line + 1
        try:
            value = self._scalars.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self._wrong(
                line, path, f"{node.value!r} ({error})", "a string, a number, true, false or null"
            )
            return None
        if isinstance(value, str) and "${" in value:
            self._wrong(
                line,
                path,
                repr(value),
                "no ${…}: this file holds no connection settings; "
                "they are KAFKA_… in each service's environment",
            )
        return value if isinstance(value, str | int | float | bool | None) else str(node.value)

    def _wrong(self, line: int, path: Path, found: str, wanted: str) -> None:
        self.mistakes.append(Mistake(line, dotted(path), found, wanted))

"""Imports every module of an image's own code, while it is built: what a lock lacks, or a system
library that is missing, ends the build and not the first training.

    python -m infra.compose.imports services.serving [what to do without ...]

What is done without is a module of our own, or a library of an extra: what needs one that isn't
installed is then left out.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence


def main(arguments: Sequence[str]) -> None:
    package, *without = arguments
    for name in modules(package):
        if name not in without:
            _imported(name, without)


def _imported(name: str, without: Sequence[str]) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in without:
            raise


def modules(package: str) -> Iterator[str]:
    """The package and all in it but `__main__`, which would start."""
    yield package
    for each in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not each.name.endswith(".__main__"):
            yield each.name


if __name__ == "__main__":
    main(sys.argv[1:])

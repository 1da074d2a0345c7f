"""What an image's build imports, and what it may do without."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.compose import imports


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of two modules, one of which needs a library that there is not."""
    name = "of_an_image"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "plain.py").touch()
    (folder / "extra.py").write_text("import a_library_of_an_extra.part\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for each in ("", ".plain", ".extra"):
        monkeypatch.delitem(sys.modules, name + each, raising=False)
    return name


def test_a_library_that_an_image_lacks_ends_its_build(package: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_library_of_an_extra"):
        imports.main([package])


@pytest.mark.parametrize("without", ["a_library_of_an_extra", "of_an_image.extra"])
def test_what_it_may_do_without_is_left_out(package: str, without: str) -> None:
    imports.main([package, without])
    assert f"{package}.plain" in sys.modules
    assert f"{package}.extra" not in sys.modules

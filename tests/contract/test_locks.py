"""The locks: every package by digest, no address of any registry, dev and gpu in step with cpu."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.local import jars
from infra.tools import lock

REQUIREMENTS = lock.ROOT / "requirements"
PYTHON = [str(path.relative_to(REQUIREMENTS)) for path in sorted(REQUIREMENTS.rglob("*.lock"))]
HERE = [each for each in lock.EXTRAS if f"{each[0]}.lock" in PYTHON]
LOCKS = [*(REQUIREMENTS / name for name in PYTHON), jars.LOCK]


def pins(name: str) -> set[str]:
    text = (REQUIREMENTS / name).read_text()
    return set(re.findall(r"^([^\s=]+==\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_address(path: Path) -> None:
    assert not lock.names_address(path)


@pytest.mark.parametrize(
    "wrong", ["--index-url x", "a @ https://a.example/a.whl", "--find-links x"]
)
def test_an_address_in_a_lock_is_seen(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "x.lock").write_text(f"numpy==1\n{wrong}\n")

    assert lock.names_address(tmp_path / "x.lock")


def test_every_lock_is_made_by_make_lock() -> None:
    made = sorted(f"{name}.lock" for name, _ in lock.LOCKS)
    extras = {f"{name}.lock" for name, _ in lock.EXTRAS}

    assert made == sorted(set(PYTHON) - extras)
    assert not extras & set(made)
    for name in [*made, *extras]:
        asked = (REQUIREMENTS / name).with_suffix(".in")
        included = re.findall(r"^-r (\S+)", asked.read_text(), re.MULTILINE)
        assert [other for other in included if not (asked.parent / other).is_file()] == []


@pytest.mark.parametrize("name", PYTHON)
def test_every_package_is_locked_by_digest(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (REQUIREMENTS / name).read_text().strip())

    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_dev_has_all_of_cpu_and_gpu_differs_by_the_runtime_of_models_alone() -> None:
    cpu, dev, gpu = pins("cpu.lock"), pins("dev.lock"), pins("gpu.lock")

    assert cpu <= dev
    assert cpu - gpu <= {pin for pin in cpu if pin.startswith("onnxruntime==")}
    assert any(pin.startswith("onnxruntime-gpu==") for pin in gpu)


@pytest.mark.parametrize(
    ("name", "like"), [each for each in (*lock.LOCKS, *HERE) if each[1]], ids=str
)
def test_a_lock_agrees_with_the_one_that_it_was_made_after(name: str, like: str) -> None:
    """A package that both have is the same version in both."""
    ours, theirs = pins(f"{name}.lock"), pins(f"{like}.lock")
    known = {pin.partition("==")[0] for pin in theirs}

    differing = {pin for pin in ours - theirs if pin.partition("==")[0] in known}

    assert differing == set()

"""Objects in a folder; an object store is tried in tests/integration/test_object_store.py."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from driftloop.kit import objects
from driftloop.kit.errors import Refused
from driftloop.kit.objects import Objects


def test_what_is_written_is_read_listed_and_deleted_by_its_name(tmp_path: Path) -> None:
    place = Objects(str(tmp_path / "new"))
    place.write("a/one", b"first")
    place.write("a/one", io.BytesIO(b"second"))

    assert (place.read("a/one"), place.size("a/one")) == (b"second", 6)
    assert (place.names("a"), place.names("b")) == ({"a/one"}, set())
    assert Path(place.address("a/one")).read_bytes() == b"second"
    place.delete("a/one")
    place.delete("a/one")
    assert (place.read("a/one"), place.size("a/one"), place.names("a")) == (None, None, set())


def test_a_large_object_comes_in_pieces_and_from_where_one_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PIECE_BYTES", 4)
    place = Objects(str(tmp_path))
    place.write("ten", b"0123456789")

    assert list(place.pieces("ten", 10)) == [b"0123", b"4567", b"89"]
    assert list(place.pieces("ten", 10, 5)) == [b"5678", b"9"]
    assert list(place.pieces("ten", 10, 10)) == []
    assert place.read("ten") == b"0123456789"


@pytest.mark.parametrize(
    ("where", "settings", "text"),
    [
        ("ftp://somewhere/else", {}, "wanted a folder, or s3://bucket/folder"),
        ("s3://bucket", {"AWS_SECRET_ACCESS_KEY": "hush"}, "Missing AccessKeyId; wanted .*AWS_"),
        ("/dev/null/x", {}, "/dev/null/x: .*; wanted a folder"),
    ],
)
def test_a_place_that_can_not_be_is_refused_by_what_is_wrong(
    where: str, settings: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Refused, match=text) as refused:
        Objects(where)

    assert "hush" not in str(refused.value)

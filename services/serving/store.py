"""The artifact cache: models by digest and the last release that answered, so that serving starts
with the registry dark.

May be lost at any time; is then filled again. What is read is checked, and thrown away where it has
changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

from driftloop.kit.errors import Malformed, Unavailable
from services.serving.domain import Release

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Cache:
    """`folder/<digest>.onnx` and `folder/<pipeline>.g<generation>.json`. For one thread."""

    def __init__(self, folder: Path, *, artifacts_max: int) -> None:
        self._folder = folder
        self._artifacts_max = artifacts_max

    def get(self, digest: str) -> bytes | None:
        """The artifact; None where it is not here, or no longer what its name says."""
        path = self._artifact(digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() == digest:
            return data
        path.unlink(missing_ok=True)
        return None

    def put(self, digest: str, data: bytes) -> None:
        """Keeps an artifact. Malformed: it hashes to something else. Unavailable: no space, no
        folder.
        """
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise Malformed(
                f"{len(data)} bytes hash to {found[:12]}, wanted {digest[:12]}", rule="wrong_digest"
            )
        self._write(self._artifact(digest), data)
        self._prune()

    def last_good(self, pipeline: str, generation: int) -> Release | None:
        """The release that this machine answered with last; None: none is known, or the note is
        unreadable.
        """
        try:
            return Release(**json.loads(self._note(pipeline, generation).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def remember(self, release: Release) -> None:
        self._write(
            self._note(release.pipeline, release.generation), json.dumps(asdict(release)).encode()
        )

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(dir=self._folder, prefix=".part-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(part).replace(path)
            except OSError:  # what is half written must not fill the disk further
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Unavailable(f"{path} can't be written: {error.strerror}") from error

    def _prune(self) -> None:
        """The oldest go first; they can be fetched again."""
        kept = sorted(self._folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
        for path in [*kept[: -self._artifacts_max]]:
            path.unlink(missing_ok=True)

    def _artifact(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise Malformed(f"{digest[:80]!r} is no sha256 in hex", rule="wrong_digest")
        return self._folder / f"{digest}.onnx"

    def _note(self, pipeline: str, generation: int) -> Path:
        return self._folder / f"{pipeline}.g{generation}.json"

"""All that is derived from proto/, topics/, the services' settings and the table of the metrics;
`--check` fails on any difference.

    python -m infra.tools.generate             write what differs
    python -m infra.tools.generate --check     write nothing; name what is stale, exit 1
    python -m infra.tools.generate --baseline  at a release: freeze the messages' field numbers in
    proto/baseline.binpb

Everything is made in memory first, so that a failing step leaves the tree as it was.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from driftloop.kit import config
from driftloop.kit.metrics.figures import declared
from infra.tools import dashboards, declarations, documents, protos, topics_module

ROOT = Path(__file__).resolve().parents[2]
BASELINE = "proto/baseline.binpb"
METRICS = "infra/prometheus/README.md"
Files = Mapping[str, str | None]  # path from the root -> text; None: should not be


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 1 where a file is stale (--check) or an input is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.generate")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    parser.add_argument("--baseline", action="store_true", help=f"make {BASELINE} anew")
    options = parser.parse_args(arguments)
    try:
        wanted = derived(ROOT)
    except (declarations.WrongTopic, documents.NoBlock, protos.ProtocFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = differing(ROOT, wanted)
    if options.check:
        sys.stderr.writelines(f"{path}: stale, run `make generate`\n" for path in stale)
        return 1 if stale else 0
    for path in stale:
        _write(ROOT / path, wanted[path])
    if options.baseline:
        (ROOT / BASELINE).write_bytes(baseline(ROOT))
    return 0


def derived(root: Path) -> Files:
    """Every derived file with the text that it should have."""
    with tempfile.TemporaryDirectory() as folder:
        made = protos.compiled(root, Path(folder))
        modules = protos.modules(root, Path(folder))
    topics = declarations.load(root / "topics")
    made["driftloop/contracts/topics.py"] = topics_module.text(topics, modules)
    made["topics/README.md"] = documents.topics_readme(topics)
    made["services/SETTINGS.md"] = documents.shared_settings(config.describe(config.Common))
    made |= _readmes(root, topics)
    made[METRICS] = documents.filled(
        (root / METRICS).read_text("utf-8"), "metrics", documents.metrics(declared())
    )
    made |= dashboards.files()
    orphans = {
        str(path.relative_to(root)): None for path in (root / protos.VIRTUAL).glob("*_pb2*.py*")
    }
    return {**orphans, **made}


def differing(root: Path, wanted: Files) -> list[str]:
    """The derived files that are not what they should be."""
    return [path for path, text in sorted(wanted.items()) if _text(root / path) != text]


def baseline(root: Path) -> bytes:
    """The messages as they are now, for tests/contract/test_proto_baseline.py."""
    with tempfile.TemporaryDirectory() as folder:
        return protos.described(root, Path(folder)).SerializeToString(deterministic=True)


def _readmes(root: Path, topics: Sequence[declarations.TopicFile]) -> dict[str, str]:
    """The services' READMEs with their derived blocks filled."""
    made: dict[str, str] = {}
    for service in declarations.SERVICES:
        path = root / "services" / service / "README.md"
        if path.exists():
            name = str(path.relative_to(root))
            made[name] = _readme(service, name, path.read_text("utf-8"), topics)
    return made


def _readme(service: str, name: str, text: str, topics: Sequence[declarations.TopicFile]) -> str:
    settings = config.describe(
        importlib.import_module(f"services.{service}.config").Config, service
    )
    try:
        text = documents.filled(text, "speaks", documents.speaks(service, topics))
        return documents.filled(text, "settings", documents.own_settings(settings))
    except documents.NoBlock as error:
        raise documents.NoBlock(f"{name}: {error}") from None


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

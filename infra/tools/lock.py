"""Makes the locks anew: Python packages by uv, the broker's jars by jgo. No address of any registry
ends up in them.

    python -m infra.tools.lock
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from infra.local import jars

ROOT = Path(__file__).resolve().parents[2]
COMPILE = (
    *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--upgrade"),
    *("--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-annotate"),
)
# Each after the one that it must agree with. Peers are programs of others that only speak with us.
# Those of images each have a part of what the services stand on, for one service or one layer.
LOCKS = (
    *(("build", None), ("cpu", None), ("dev", "cpu"), ("gpu", "cpu")),
    *(("peers/triton", None), ("peers/mlflow", None), ("peers/mlflow-server", "peers/mlflow")),
    *((f"images/{layer}", "cpu") for layer in ("common", "columns", "kernels", "frames")),
    *((f"images/{name}", "cpu") for name in ("registry", "ingestion", "features", "serving")),
    *((f"images/{name}", "cpu") for name in ("training", "evaluation", "monitor", "live", "web")),
    *(("images/serving-gpu", "gpu"), ("images/demo", "dev")),
)
# Made where the build of a library that they name can be had, else left as they are.
EXTRAS = (("extras/torch", "cpu"), ("images/training-torch", "cpu"))
ADDRESS = re.compile(r"https?://|^--(?:extra-)?index-url|^--find-links", re.MULTILINE)


def main() -> int:
    """Exit status: 0, or 1 where a lock would name an address or can't be made."""
    if not all(_compiled(name, like) for name, like in LOCKS):
        return 1
    left = [name for name, like in EXTRAS if not _compiled(name, like)]
    sys.stderr.writelines(f"requirements/{name}.lock is left as it is\n" for name in left)
    jars.LOCK.write_text(jars.resolve())
    named = [
        str(path)
        for path in (*(ROOT / "requirements").rglob("*.lock"), jars.LOCK)
        if names_address(path)
    ]
    sys.stderr.writelines(
        f"{path} names an address; a lock must work with any mirror\n" for path in named
    )
    return 1 if named else 0


def _compiled(name: str, like: str | None) -> bool:
    constraint = ["--constraints", f"requirements/{like}.lock"] if like else []
    paths = [f"requirements/{name}.in", "--output-file", f"requirements/{name}.lock"]
    done = subprocess.run([*COMPILE, *constraint, *paths], cwd=ROOT, check=False)
    return done.returncode == 0


def names_address(lock: Path) -> bool:
    """True if the file would send its reader to one particular host."""
    return ADDRESS.search(lock.read_text()) is not None


if __name__ == "__main__":
    sys.exit(main())

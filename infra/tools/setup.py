"""Sets a clone up: `.venv` from the locks, the project in it, the broker's jars. A second start
does nothing.

    python3 infra/tools/setup.py            EXTRAS=torch beside the locks an extra's

Run by the machine's own Python, so: standard library only, and syntax that an old Python can read
far enough to be
told that it is too old. Everything lies inside the clone; nothing is built that needs a compiler.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
CHOSEN = VENV / "driftloop-extras"  # kept, so that the next word does not set up anew
STAMP = VENV / "driftloop-stamp"
FACTS = ROOT / "var" / "setup.json"  # how long it took, for the demo's report
LOCKS = ("requirements/build.lock", "requirements/dev.lock")
EXTRAS = ROOT / "requirements" / "extras"
OTHERS = ("infra/local/kafka.lock.toml", "infra/tools/setup.py", "pyproject.toml")
PYTHON_MIN = (3, 11)
MAC = sys.platform.startswith("darwin")
PACKAGES_MB = 420  # all of dev.lock on Linux x86-64, as downloaded
TOLD = "Collecting "  # how pip names the package that it turns to


class Cannot(Exception):
    """Set-up can't go on; the text is one line with the mend."""


def main() -> int:
    """Exit status: 0, or 1 after one line on stderr."""
    try:
        _refuse_old_python()
        wanted = _digest()
        if not (STAMP.is_file() and STAMP.read_text() == wanted):
            _set_up()
            STAMP.write_text(wanted)
    except Cannot as reason:
        sys.stderr.write(f"set-up: {reason}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("set-up was interrupted; starting it again goes on\n")
        return 130
    return 0


def _refuse_old_python() -> None:
    if sys.version_info < PYTHON_MIN:
        raise Cannot(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}, needed is 3.11 or newer: "
            "install one and say `make PYTHON=python3.11 …`"
        )


def _digest() -> str:
    """Changes whenever set-up has something to do."""
    files = [ROOT / name for name in (*LOCKS, *OTHERS)] + [_asked(name) for name in _extras()]
    files += [folder / "pyproject.toml" for folder in _plugins()]
    made_of = [sys.version, str(ROOT), *(path.read_text() for path in files)]
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()


def _set_up() -> None:
    start_s = time.monotonic()
    if _fits():
        _say("bringing .venv up to date: what differs from the locks is fetched")
    else:
        count = len(_names())
        _say(f"setting up .venv: {count} packages, {PACKAGES_MB} MB, 2 to 4 minutes; once only")
    _make_venv()
    for lock in LOCKS:
        _install("--require-hashes", "--no-deps", "--no-build-isolation", "-r", lock)
    for name in _extras():
        _install_extra(name)
    CHOSEN.write_text("\n".join(_extras()))
    _install("--no-deps", "--no-build-isolation", "--editable", ".")
    for folder in _plugins():
        _install("--no-deps", "--no-build-isolation", "--editable", str(folder))
    _check_openmp()
    _fetch_jars()
    _compile()
    seconds = time.monotonic() - start_s
    FACTS.parent.mkdir(exist_ok=True)
    FACTS.write_text(json.dumps({"seconds": round(seconds, 1)}) + "\n")
    _say(f"set up in {seconds:.0f} s")


def _plugins() -> list[Path]:
    """Packages of one's own: folders of plugins/ that can be installed."""
    return sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


def _extras() -> list[str]:
    """Those that are asked for by EXTRAS, as in EXTRAS=torch, and those that were before."""
    known = sorted(path.stem for path in EXTRAS.glob("*.in"))
    asked = os.environ.get("EXTRAS", "").replace(",", " ").split()
    before = CHOSEN.read_text().split() if CHOSEN.is_file() else []
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise Cannot(f"EXTRAS={' '.join(asked)}: there is {', '.join(known)}")
    return sorted({*asked, *before} & set(known))


def _asked(name: str) -> Path:
    """An extra's lock, or what it is made of while there is none."""
    lock = EXTRAS / f"{name}.lock"
    return lock if lock.is_file() else EXTRAS / f"{name}.in"


def _install_extra(name: str) -> None:
    path = _asked(name)
    if path.suffix == ".lock":
        _install("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(path))
        return
    _say(f"{name}: no lock of its CPU build is here yet; installed by version, not by digest")
    try:
        # what is there already stays: the locks' versions are the constraint
        _install("--only-binary", ":all:", "-c", _versions(), "-r", str(path))
    except Cannot as reason:
        raise Cannot(
            f"{name}: pip must be told of a place that has its CPU build, by PIP_FIND_LINKS (a "
            f"folder) or PIP_EXTRA_INDEX_URL; requirements/README.md.\n{reason}"
        ) from reason


def _versions() -> str:
    """dev.lock without its digests: with them pip would want one for the extra too."""
    pins = re.findall(r"^([A-Za-z0-9._-]+==\S+)", (ROOT / LOCKS[1]).read_text(), re.MULTILINE)
    path = ROOT / "var" / "constraints.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(pins) + "\n")
    return str(path)


def _make_venv() -> None:
    """One of this Python and this place; what is there already, and fits, is kept."""
    if _fits():
        return
    try:
        import ensurepip  # noqa: F401  (Debian splits it off; venv's own message fills a screen)
        import venv
    except ImportError as error:
        raise Cannot("Python's venv is missing: apt-get install python3-venv") from error
    try:
        venv.EnvBuilder(clear=VENV.exists(), symlinks=True, with_pip=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Cannot(f".venv can't be made: {error}") from error


def _fits() -> bool:
    """A moved clone's scripts point elsewhere; another minor version would not see the packages."""
    series = "{}.{}".format(*sys.version_info[:2])
    script = VENV / "bin" / "activate"
    folder = VENV / "lib" / f"python{series}" / "site-packages" / "pip"
    return folder.is_dir() and script.is_file() and str(VENV) in script.read_text()


def _install(*arguments: str) -> None:
    """pip, with a running count on a terminal; its own words only if it fails."""
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command = [str(_python()), "-m", "pip", "install", *quiet, *arguments]
    said = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line)
            _progress(line, said)
    if pip.returncode:
        raise Cannot(_why(said))


def _progress(line: str, said: list[str]) -> None:
    if line.startswith(TOLD) and sys.stdout.isatty():
        done = sum(other.startswith(TOLD) for other in said)
        name = line.removeprefix(TOLD).split("==")[0].strip()
        sys.stdout.write(f"\r\x1b[K  {done} {name}\r")
        sys.stdout.flush()


def _why(said: list[str]) -> str:
    text = "".join(said)
    tail = "".join(line for line in said if not line.startswith(("Collecting", "  Using")))[-1500:]
    if "No space left" in text:
        return f"no space left under {ROOT}; needed are about 3 GB"
    if "DO NOT MATCH THE HASHES" in text:
        return f"a package differs from its locked digest; nothing of it was installed:\n{tail}"
    return (
        "pip could not install; it needs PyPI or a mirror (PIP_INDEX_URL or pip.conf) and goes by "
        f"HTTPS_PROXY. Its last words:\n{tail}"
    )


def _check_openmp() -> None:
    """LightGBM's wheel for macOS brings no OpenMP."""
    if not MAC:
        return
    done = subprocess.run(
        [str(_python()), "-c", "import lightgbm"], capture_output=True, check=False
    )
    if done.returncode:
        raise Cannot(
            "LightGBM needs OpenMP, which macOS lacks: brew install libomp, and start again"
        )


def _fetch_jars() -> None:
    done = subprocess.run([str(_python()), "-m", "infra.local.jars"], cwd=ROOT, check=False)
    if done.returncode:
        raise Cannot("the broker's jars are missing, see above")


def _compile() -> None:
    done = subprocess.run([str(_python()), "-m", "infra.tools.compile"], cwd=ROOT, check=False)
    if done.returncode:
        raise Cannot("the kernels can't be compiled, see above")


def _names() -> set[str]:
    texts = [(ROOT / name).read_text() for name in LOCKS]
    return {
        name for text in texts for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    }


def _python() -> Path:
    return VENV / ("Scripts" if os.name == "nt" else "bin") / "python"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

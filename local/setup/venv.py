"""Keeps the project's virtual environment as a requirements file says.

Run by `venv.sh` with any Python 3.11 or newer, standard library only. What was installed is
remembered in it as hashes, so a second run costs a few file reads; runs side by side wait.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def main(requirements: Path) -> None:
    """Bring the environment up to date and print the path of its Python."""
    home = Path(os.environ.get("LOCAL_VENV") or PROJECT / ".venv").absolute()
    python = home / "bin" / "python"
    if not _is_installed(home, requirements):
        with _locked(home):
            if not _is_installed(home, requirements):
                _install(home, python, requirements)
                files = included(requirements)
                remembered = [fingerprint(home, file) for file in files]
                _memory(home).write_text("\n".join(remembered))
    print(python)


def fingerprint(home: Path, requirements: Path) -> str:
    """A hash of where the environment is and of the requirements, those they include too."""
    digest = hashlib.sha256(str(home).encode())
    for file in included(requirements):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def included(requirements: Path) -> list[Path]:
    """The file and every file it names with `-r`."""
    lines = requirements.read_text().splitlines()
    names = [line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    nested = [included(requirements.parent / name) for name in names]
    return [requirements, *(file for files in nested for file in files)]


def _memory(home: Path) -> Path:
    return home / "installed"


def _is_installed(home: Path, requirements: Path) -> bool:
    if not (home / "bin" / "python").exists() or not _memory(home).exists():
        return False
    return fingerprint(home, requirements) in _memory(home).read_text().split()


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"venv-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(home: Path, python: Path, requirements: Path) -> None:
    shown = f"{requirements.parent.name}/{requirements.name}"
    print(f"setting up {home.name} from {shown}; this is done once …", file=sys.stderr, flush=True)
    if not _works(home, python):
        _make(home)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
    install = [*pip, "install", "-r", str(requirements)]
    done = subprocess.run(install, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}pip could not install {shown} into {home}")


def _works(home: Path, python: Path) -> bool:
    """Whether the environment can be kept: its scripts name the place they were made in."""
    pip = home / "bin" / "pip"
    return python.exists() and pip.exists() and pip.read_text().startswith(f"#!{home}/")


def _make(home: Path) -> None:
    try:
        venv.create(home, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"cannot make {home}: {error} (Debian and Ubuntu: apt install python3-venv)")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

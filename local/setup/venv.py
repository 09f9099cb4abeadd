"""Keeps the project's virtual environment as a requirements file says.

Run by `venv.sh` with any Python 3.11 or newer, standard library only. What was installed is
remembered in the environment as hashes, so a second run costs a few file reads; of two runs side by
side the second waits.

No file is deleted that was not made here. What is done depends on what the folder is:

    nothing, or an empty folder   an environment is made, with our mark in it
    one with our mark             used; made again if it was moved, or its Python is gone or another
    a working one without it      used: packages are added, nothing is deleted
    anything else                 refused, in one sentence
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
"""The oldest Python that runs the project."""
MARK = ".made-by-deploy.sh"
"""A file in the environments made here; it holds the path at which the environment was made."""
MEMORY = ".installed-by-deploy.sh"
"""A file in every environment used here: the hashes of the requirements that are installed."""
MADE = ("bin", "include", "lib", "lib64", "pyvenv.cfg", MEMORY)
"""What making an environment leaves in its folder, and so what making it again may delete."""
CHOOSE = "set LOCAL_VENV to another folder"
PROBE = "import sys; print(*sys.version_info[:2], sys.prefix != sys.base_prefix, sys.prefix)"


def main(requirements: Path) -> None:
    """Bring the environment up to date and print the path of its Python.

    Ends with exit code 1 and one sentence on standard error where that cannot be done.
    """
    home = Path(os.environ.get("LOCAL_VENV") or PROJECT / ".venv").absolute()
    try:
        print(python_with(home, requirements))
    except OSError as error:
        _fail(f"cannot set up {home}: {error.strerror} ({error.filename or home}); {CHOOSE}")
    except KeyboardInterrupt:
        sys.exit(130)


def python_with(path: Path, requirements: Path) -> Path:
    """Return the Python of the environment at `path`, with the requirements installed."""
    if path.is_symlink() and not path.exists():
        _fail(f"{path} is a link to nothing; remove it, or {CHOOSE}")
    home = path.resolve()
    if os.pathsep in str(home):
        _fail(f"{home} has a {os.pathsep} in its name, as no virtual environment may; {CHOOSE}")
    if not _is_installed(home, requirements):
        with _locked(home):
            if not _is_installed(home, requirements):
                _install(home, requirements)
                _remember(home, requirements)
    return _python(home)


def fingerprint(home: Path, requirements: Path) -> str:
    """Return a hash of the place, the interpreter, and the requirements with those they include."""
    digest = hashlib.sha256(f"{home}\n{_interpreter(_python(home))}\n".encode())
    for file in included(requirements):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def included(requirements: Path) -> list[Path]:
    """Return the file and every file it names with `-r`."""
    lines = requirements.read_text().splitlines()
    names = [line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    nested = [included(requirements.parent / name) for name in names]
    return [requirements, *(file for files in nested for file in files)]


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _interpreter(python: Path) -> str:
    """The file behind the link, so that another Python at its place is noticed."""
    try:
        behind = python.resolve()
        status = behind.stat()
    except OSError:
        return "none"
    return f"{behind} {status.st_size} {status.st_mtime_ns}"


def _is_installed(home: Path, requirements: Path) -> bool:
    if not _python(home).exists() or not (home / MEMORY).exists():
        return False
    return fingerprint(home, requirements) in (home / MEMORY).read_text().split()


def _remember(home: Path, requirements: Path) -> None:
    hashes = [fingerprint(home, file) for file in included(requirements)]
    (home / MEMORY).write_text("\n".join(hashes))


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold the lock of this place. The lock is outside of it: the folder may not exist yet."""
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"venv-{os.getuid()}-{name}.lock")
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{home} is being set up by another command; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(home: Path, requirements: Path) -> None:
    """Make the folder a working environment, if it is none, and install into it."""
    shown = f"{requirements.parent.name}/{requirements.name}"
    if _is_there(home) and not (home / MARK).exists():
        check_foreign(home)
        _say(f"adding {shown} to {home}, which this project did not make: nothing is deleted …")
    else:
        _say(f"setting up {home.name} from {shown}; this is done once …")
        make(home)
    _ensure_pip(home)
    pip: list[Path | str] = [_python(home), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = _run([*pip, "install", "--no-input", "-r", requirements])
    if done.returncode:
        log = home / "pip.log"
        log.write_text(done.stdout)
        _fail(f"pip could not install {shown} into {home}: {_last(done)} (all it said: {log})")


def _is_there(home: Path) -> bool:
    """Whether there is something to be kept; an empty folder is nothing."""
    return home.exists() and (not home.is_dir() or any(home.iterdir()))


def check_foreign(home: Path) -> None:
    """Refuse what is not a working environment of a Python that is new enough."""
    if not home.is_dir():
        _fail(f"{home} is a file, not a folder for a virtual environment; {CHOOSE}")
    if not (home / "pyvenv.cfg").exists():
        _fail(f"{home} is not empty and no virtual environment; nothing was changed; {CHOOSE}")
    version = _version(home)
    if version is None:
        _fail(f"the Python of the virtual environment {home} does not run; remove it, or {CHOOSE}")
    if version < OLDEST:
        found, oldest = (".".join(map(str, one)) for one in (version, OLDEST))
        _fail(f"{home} has Python {found}, older than {oldest}; {CHOOSE}")


def _version(home: Path) -> tuple[int, ...] | None:
    """The version of the environment's Python; None if it does not run, or not for this place."""
    try:
        done = _run([_python(home), "-I", "-c", PROBE])
    except OSError:
        return None
    words = done.stdout.strip().split(" ", 3)
    if done.returncode or len(words) < 4 or words[2] != "True":
        return None
    return (int(words[0]), int(words[1])) if Path(words[3]).resolve() == home else None


def make(home: Path) -> None:
    """Make an environment of ours, unless a working one is there. The mark comes first, so that an
    interrupted run is taken up by the next one."""
    if is_usable(home):
        return
    for name in MADE:
        _delete(home / name)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).write_text(f"{home}\n")
    venv.create(home, symlinks=True)


def is_usable(home: Path) -> bool:
    """Whether an environment of ours works as it is: it was made here, by the same Python."""
    try:
        marked, settings = (home / MARK).read_text().strip(), (home / "pyvenv.cfg").read_text()
    except FileNotFoundError:
        return False
    version = ".".join(map(str, _version(home) or ()))
    return marked == str(home) and bool(version) and f"version = {version}." in settings


def _delete(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _ensure_pip(home: Path) -> None:
    """Some environments come without pip; Python brings one along."""
    if not _run([_python(home), "-m", "pip", "--version"]).returncode:
        return
    done = _run([_python(home), "-m", "ensurepip", "--default-pip"])
    if done.returncode:
        needed = "on Debian and Ubuntu: apt install python3-venv"
        _fail(f"{home} has no pip, and Python cannot add it: {_last(done)} ({needed})")


def _run(command: list[Path | str]) -> subprocess.CompletedProcess[str]:
    """Run a program; its two outputs come back as one."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """The last line a program printed, which is where it says what went wrong."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with code {done.returncode}"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _fail(sentence: str) -> NoReturn:
    sys.exit(sentence)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

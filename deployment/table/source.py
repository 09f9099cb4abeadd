"""What is uploaded for the functions, as `.gcloudignore` lets it through, and its digest."""

import hashlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

IGNORE = ".gcloudignore"
NEEDED = ("main.py", "requirements.txt")
"""What Google builds a function from."""
NO_SOURCE = (".env", ".pem", ".key", ".p12", ".swp", ".orig", ".rej", ".bak", "~")
"""What the names of files end with that editors and people leave behind."""


def files(root: Path) -> Iterator[Path]:
    """The files, in an order that is always the same."""
    rules = (root / IGNORE).read_text(encoding="utf-8").split("\n")
    lines = [line.strip() for line in rules if line.strip() and not line.startswith("#")]
    kept = [root / line[2:] for line in lines if line.startswith("!/") and line != "!/."]
    dropped = [root / line[1:] for line in lines if line.startswith("/") and line != "/*"]
    patterns = [line for line in lines if line[0] not in "/!"]
    for top in sorted(kept):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not _is_ignored(path, root, dropped, patterns):
                yield path


def problems(root: Path) -> Iterator[str]:
    """One line for what is missing of it, and for each file that is no source."""
    names = [path.relative_to(root).as_posix() for path in files(root)]
    for name in NEEDED:
        if name not in names:
            yield f"{name}: would not be uploaded, and nothing is built without it; see {IGNORE}"
    for name in names:
        if "/." in f"/{name}" or name.endswith(NO_SOURCE):
            yield f"{name}: would be uploaded, and is no source: remove it, or add it to {IGNORE}"


def digest(root: Path) -> str:
    """40 hexadecimal digits of names and contents."""
    every = hashlib.sha256()
    for path in files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        every.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return every.hexdigest()[:40]


def _is_ignored(path: Path, root: Path, dropped: list[Path], patterns: list[str]) -> bool:
    parts = path.relative_to(root).parts
    return any(path == it or it in path.parents for it in dropped) or any(
        fnmatch(part, pattern) for part in parts for pattern in patterns
    )

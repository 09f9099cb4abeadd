"""What is uploaded for the functions, as `.gcloudignore` lets it through, and its digest."""

import hashlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

IGNORE = ".gcloudignore"


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

"""What is uploaded for the functions, as `.gcloudignore` lets it through, and its digest."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

FILES = ("main.py", "requirements.txt")
ROOMS = ("common", "functions")
NOT_UPLOADED = ("bundle.toml",)


def files(root: Path) -> Iterator[Path]:
    """The files, in an order that is always the same."""
    yield from (root / name for name in FILES)
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            hidden = path.suffix == ".pyc" or "__pycache__" in path.parts
            if path.is_file() and not hidden and path.name not in NOT_UPLOADED:
                yield path


def digest(root: Path) -> str:
    """40 hexadecimal digits of names and contents."""
    every = hashlib.sha256()
    for path in files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        every.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return every.hexdigest()[:40]

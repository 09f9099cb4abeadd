"""Pins what `pyproject.toml` chooses and all that this brings along, with hashes.

    tests/lock             after a change of pyproject.toml
    tests/lock --upgrade   also with the newest versions of what was not chosen

Four files, each for every Python that the project runs on. One holds what the next has not:

    requirements.txt              what the functions run on; uploaded with them
    operations/requirements.txt   what the operations add; it includes the first
    local/requirements.txt        what the local cloud adds; it includes the second
    tests/requirements.txt        what the tests add; it includes the third

Run by `tests/lock` with the Python of the tests, whose environment has uv.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
OLDEST = "3.11"
"""The oldest Python that the files are for; the newest is whichever the pinned packages take."""
FILES = {
    "requirements.txt": (),
    "operations/requirements.txt": ("operations",),
    "local/requirements.txt": ("operations", "local"),
    "tests/requirements.txt": ("operations", "local", "tests"),
}
"""The files, and the groups of pyproject.toml that are in each beside its dependencies."""
INCLUDED = {
    "operations/requirements.txt": "-r ../requirements.txt\n",
    "local/requirements.txt": "-r ../operations/requirements.txt\n",
    "tests/requirements.txt": "-r ../local/requirements.txt\n",
}
HEAD = "# Made by `tests/lock` from pyproject.toml, which says why each is here.\n"
NAME = re.compile(r"^([a-z0-9][a-z0-9.-]*)==", re.MULTILINE)
COMPILE = (
    *("pip", "compile", "pyproject.toml", "--quiet", "--universal", "--python-version", OLDEST),
    *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"),
    *("--no-emit-find-links",),
)


def main(options: list[str]) -> None:
    """Write the four files; ends with what uv says where it cannot."""
    uv = Path(sys.executable).parent / "uv"
    known: dict[str, str] = {}
    for name, groups in FILES.items():
        pinned = blocks(_compiled(uv, groups, options))
        (PROJECT / name).write_text(HEAD + INCLUDED.get(name, "") + added(pinned, known))
        known = pinned


def blocks(text: str) -> dict[str, str]:
    """Return the requirements in a file by name, each with the lines of its hashes."""
    starts = [(match[1], match.start()) for match in NAME.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {name: text[start:end] for (name, start), end in zip(starts, ends, strict=True)}


def added(pinned: Mapping[str, str], known: Mapping[str, str]) -> str:
    """Return the requirements that are new; raises ValueError for one that is pinned otherwise.

    What else is installed may need one on more systems, such as Windows; nothing here runs there.
    """
    for name, block in known.items():
        if _pin(pinned.get(name, "")) != _pin(block):
            raise ValueError(f"{name} is pinned otherwise where more is installed with it")
    return "".join(block for name, block in pinned.items() if name not in known)


def _pin(block: str) -> tuple[str, list[str]]:
    """The version and the hashes of a requirement, without the systems that it is for."""
    version = block.split(" ", 1)[0].strip()
    return version, re.findall(r"--hash=\S+", block)


def _compiled(uv: Path, groups: tuple[str, ...], options: list[str]) -> str:
    """Return everything pinned; what is pinned already stays unless it is to be upgraded."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        present = (
            blocks((PROJECT / name).read_text()) for name in FILES if (PROJECT / name).exists()
        )
        file.write_text("".join(block for found in present for block in found.values()))
        chosen = [word for group in groups for word in ("--group", group)]
        command = [str(uv), *COMPILE, *chosen, *options, "--output-file", str(file)]
        if subprocess.run(command, cwd=PROJECT).returncode:
            sys.exit("nothing was pinned")
        return file.read_text()


if __name__ == "__main__":
    main(sys.argv[1:])

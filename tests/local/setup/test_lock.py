"""What is chosen is pinned, and everything that is pinned has hashes."""

import re
import tomllib
from pathlib import Path

import pytest

from local.setup.lock import FILES, added, blocks

ROOT = Path(__file__).parents[3]
CHOSEN = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = {name: blocks((ROOT / name).read_text()) for name in FILES}


def plain(requirement: str) -> str:
    """`Jinja2==3.1.6` and `PyJWT[crypto]==2.15.1` as files of pinned requirements name them."""
    return re.sub(r"\[.*?\]", "", requirement).lower().replace("_", "-")


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("requirements.txt", CHOSEN["project"]["dependencies"]),
        ("local/requirements.txt", CHOSEN["dependency-groups"]["local"]),
        ("tests/requirements.txt", CHOSEN["dependency-groups"]["tests"]),
    ],
)
def test_what_is_chosen_is_in_its_file_in_that_version(name: str, chosen: list[str]) -> None:
    lines = {block.split(" ", 1)[0] for block in PINNED[name].values()}
    assert {plain(requirement) for requirement in chosen} <= lines


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_has_a_hash_and_no_address_is_told(name: str) -> None:
    text = (ROOT / name).read_text()
    assert all("--hash=sha256:" in block for block in PINNED[name].values())
    assert "://" not in text
    assert "index-url" not in text


def test_no_requirement_is_in_two_files() -> None:
    names = [name for pinned in PINNED.values() for name in pinned]
    assert len(names) == len(set(names))


def test_a_requirement_comes_with_the_lines_of_its_hashes() -> None:
    text = "# head\na==1 \\\n    --hash=x\nb-c==2 ; python_version < '3.12' \\\n    --hash=y\n"
    found = blocks(text)
    assert list(found) == ["a", "b-c"]
    assert found["a"] == "a==1 \\\n    --hash=x\n"


def test_only_what_is_new_is_added() -> None:
    assert added({"a": "a==1\n", "b": "b==2\n"}, {"a": "a==1\n"}) == "b==2\n"


def test_two_versions_of_one_package_are_refused() -> None:
    with pytest.raises(ValueError, match="a is pinned otherwise"):
        added({"a": "a==2\n"}, {"a": "a==1\n"})

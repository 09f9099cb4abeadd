"""`common` stands alone: it imports no bundle, and has no word of the shop that is in this one."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMON = sorted((ROOT / "common").rglob("*.py"))
TESTS = sorted((ROOT / "tests" / "common").rglob("*.py"))
WORDS = {
    *("abandonment", "basket", "cart", "carts", "checkout", "commerce", "customer", "customers"),
    *("digests", "inventory", "newsletter", "onboarding", "orders", "pulsecart", "purchase"),
    *("purchased", "purchases", "shop", "shopping", "shops", "sku", "welcome", "welcomed"),
}
"""Words of a shop, alone or in a name such as `cart_id` or `CartAbandoned`. `order` and `digest`
are not among them: documents come in an order, and bytes have a digest."""
NAMES = (
    r"order[._](?:placed|id)|payment[._]failed|user[._](?:signed_up|logged_in)|feature[._]used"
    r"|weekly_digest|digest_opt_in|first_login_at|first_feature_at|[\"'`]users\b"
)
"""Names of the shop's events, fields and collections, as far as the words do not find them."""

NOT_OURS = ("PYTEST", "COV")
"""Variables with which whoever runs these tests would reach into a run inside of them."""


def test_neither_common_nor_its_tests_import_a_bundle() -> None:
    found = {path: set(_imported(path)) & {"functions", "main"} for path in (*COMMON, *TESTS)}
    assert not {path: names for path, names in found.items() if names}


def test_common_has_no_word_of_the_shop() -> None:
    files = {str(path.relative_to(ROOT)): path.read_text() for path in COMMON}
    found = {file: words_of_the_shop(text) for file, text in files.items()}
    assert not {file: words for file, words in found.items() if words}


@pytest.mark.parametrize(
    "text", ["cart_id", "CartAbandoned", "CARTS", "order.placed", '"users"', "`users/{id}`"]
)
def test_a_word_of_the_shop_is_found_inside_of_a_name(text: str) -> None:
    assert words_of_the_shop(text)


@pytest.mark.parametrize("text", ["in the order of ids", "order_by", "hexdigest", "all users"])
def test_a_word_that_every_bundle_may_use_is_none_of_the_shop(text: str) -> None:
    assert not words_of_the_shop(text)


@pytest.mark.slow
def test_the_tests_of_common_pass_where_there_are_no_functions(tmp_path: Path) -> None:
    where = tmp_path / "alone"
    _copy_without_functions(where)
    proofs = [f"--ignore=tests/common/{room}/proof" for room in ("idempotency", "scheduling")]
    tests = ["tests/common", "-m", "not slow", *proofs]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=where,
        env={name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def words_of_the_shop(text: str) -> set[str]:
    """Those that the text has, in lower case."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)}
    return words & WORDS | set(re.findall(NAMES, text))


def _imported(path: Path) -> Iterator[str]:
    """The packages at the top level that a file imports something of."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def _copy_without_functions(where: Path) -> None:
    """The repository as it is, but for `functions/` and the `main.py` that re-exports them."""
    where.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in ("functions", "main.py") or entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(entry, where / entry.name, ignore=ignored)
        else:
            shutil.copy(entry, where)

"""The functions run on what is uploaded with them, and on nothing else."""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.services.functions import process
from local.testing import local_cloud
from tests.functions.shop_cloud import Shop, deployed

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's Python, with exactly what requirements.txt pins; hashes are checked."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=True, symlinks=True)
    made = home / "bin" / "python"
    pip = [str(made), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    requirements = str(ROOT / "requirements.txt")
    install = [*pip, "install", "--require-hashes", "--no-deps", "-r", requirements]
    subprocess.run(install, check=True, timeout=600)
    subprocess.run([*pip, "check"], check=True, timeout=60)
    return made


@pytest.fixture
def shop(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The shop, its functions started by that Python."""
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(process, "START_TIMEOUT", 300.0)  # nothing of it is in any cache yet
    with local_cloud(tmp_path / "cloud") as cloud, deployed(cloud) as shop:
        yield shop


def test_the_functions_start_and_work_on_what_is_pinned_alone(shop: Shop) -> None:
    assert shop.messages(shop.user()) == ["welcome"]


def test_what_only_the_tests_need_is_not_there(python: Path) -> None:
    done = subprocess.run([python, "-c", "import aiohttp"], capture_output=True, text=True)
    assert "No module named 'aiohttp'" in done.stderr

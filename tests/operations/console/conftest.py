"""The shop on a local cloud, the console beside it, and a browser."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).parents[3]

if TYPE_CHECKING:
    from local.testing import LocalCloud
    from tests.operations.console.browser import Page


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LocalCloud]":
    """The shop, deployed."""
    from local.testing import local_cloud  # its clients take a second

    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.deploy_bundle()
        yield cloud


@pytest.fixture(scope="module")
def console(cloud: "LocalCloud") -> Iterator[str]:
    """The address of the console, as an operator starts it."""
    path = os.pathsep.join((str(ROOT / "local" / "bin"), os.environ["PATH"]))
    environ = {**os.environ, **cloud.env, "PATH": path, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "operations", "console", "--env", "local"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.removeprefix("console: ").strip()
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def page(console: str) -> "Iterator[Page]":
    """The page in a browser."""
    from tests.operations.console.browser import Page, browser

    with browser() as driver:
        yield Page(driver, console)

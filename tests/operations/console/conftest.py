"""The shop on a local cloud, the console beside it, and a browser."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    with started(ROOT / "local" / "bin", cloud.env) as url:
        yield url


@contextmanager
def started(tools: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """A console with the gcloud of that folder; its address."""
    path = os.pathsep.join((str(tools), os.environ["PATH"]))
    whole = {**os.environ, **environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "operations", "console", "local"]
    with subprocess.Popen(command, env=whole, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.removeprefix("console: ").strip()
        finally:
            process.terminate()


@pytest.fixture
def shows_only(cloud: "LocalCloud", tmp_path: Path) -> Iterator[str]:
    """The address of a console that is started without --write, as for a real project: no word of
    the local cloud is at hand but the addresses that stand for Google's."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f'#!/bin/sh\nLOCAL_URL={cloud.url} exec {ROOT}/local/bin/gcloud "$@"\n')
    gcloud.chmod(0o755)
    ends = {name: it for name, it in cloud.env.items() if name.endswith("_EMULATOR_HOST")}
    ends["CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING"] = cloud.url
    with started(tmp_path, ends) as url:
        yield url


@pytest.fixture(scope="module")
def page(console: str) -> "Iterator[Page]":
    """The page in a browser."""
    from tests.operations.console.browser import Page, browser

    with browser() as driver:
        yield Page(driver, console)

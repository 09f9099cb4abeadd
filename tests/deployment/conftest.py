"""What the tests of the deployment share: a project in memory, and the commands run on it."""

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployment.gcloud.waiting import Patience
from deployment.gcloud.world import World
from deployment.plan.changes import Plan
from deployment.plan.deployment import Options
from deployment.table import bundle, checks, declarations
from deployment.table.bundle import Bundle
from deployment.table.target import Target
from deployment.verbs import applying, destroying, pausing
from deployment.verbs.applying import Work
from tests.deployment.project import PROJECT, REGION, Project

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "functions" / "bundle.toml"
DECLARED = declarations.read(ROOT)


def loaded(text: str, file: Path) -> Bundle:
    """The table that a text is; each text is read once."""
    if text not in _tables:
        file.write_text(text)
        _tables[text] = bundle.load(file)
    return _tables[text]


_tables: dict[str, Bundle] = {}


@functools.cache
def deployed_once() -> Project:
    """A project in which the repository's table is deployed; tests work on copies of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bundle.toml"
        shell = Shell(project=Project(), table=TABLE.read_text(), file=file)
        shell.apply()
    return shell.project


@dataclass(kw_only=True)
class Shell:
    """Runs the commands on one project, with the repository's table as a test has edited it."""

    project: Project
    table: str
    name: str = ""
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    file: Path

    def edit(self, old: str, new: str) -> "Shell":
        """The same project, with a table in which a text is another one."""
        assert old in self.table
        self.table = self.table.replace(old, new)
        return self

    def work(self, **options: Any) -> Work:
        """What a command line would come to."""
        table = loaded(self.table, self.file)
        place = {"name": self.name} if self.name else {"project": PROJECT, "region": REGION}
        environment = bundle.environment(table, **place)
        target = Target(
            bundle=table.with_overrides(environment),
            environment=environment,
            declared=DECLARED,
            root=ROOT,
        )
        patience = Patience(self.said.append, self.slept.append)
        return Work(
            target=target,
            options=Options(**options),
            world=World(self.project, target.region, patience, workers=1),  # type: ignore[arg-type]
            gcloud=self.project,  # type: ignore[arg-type]
            patience=patience,
            say=self.said.append,
            progress=self.said.append,
        )

    def checked(self) -> Target:
        """The target, if its table and its numbers are right."""
        target = self.work().target
        checks.check(target)
        return target

    def plan(self, **options: Any) -> Plan:
        """What apply would do."""
        return applying.plan(self.work(**options))

    def lines(self, **options: Any) -> list[str]:
        """The same as lines."""
        return [line for change in self.plan(**options).changes for line in change.lines()]

    def apply(self, **options: Any) -> Work:
        """The finished work."""
        work = self.work(**options)
        applying.apply(work)
        return work

    def destroy(self, *, purge: bool = False) -> Work:
        """The same for `destroy`."""
        work = self.work()
        destroying.destroy(work, purge=purge)
        return work

    def pause(self) -> str:
        """What is said."""
        return pausing.pause(self.work())

    def resume(self) -> None:
        """Set everything going again."""
        pausing.resume(self.work())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A fresh project, in which no service is enabled yet."""
    return Shell(project=Project(), table=TABLE.read_text(), file=tmp_path / "bundle.toml")


@pytest.fixture
def deployed(shell: Shell) -> Shell:
    """A project in which everything is deployed."""
    shell.project = deployed_once().copy()
    return shell


Refusing = Callable[[str, str, int], None]


@pytest.fixture
def refusing(shell: Shell) -> Refusing:
    """Has the first calls that contain some words refused with an error."""

    def refuse(words: str, error: str, times: int) -> None:
        left = [times]

        def answer(call: tuple[str, ...]) -> str | None:
            if words in " ".join(call) and left[0]:
                left[0] -= 1
                return error
            return None

        shell.project.refuse = answer

    return refuse

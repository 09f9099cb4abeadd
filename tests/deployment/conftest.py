"""What the tests of the deployment share: a project in memory, and the commands run on it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployment import applying, bundle, declarations, destroying, pausing
from deployment.applying import Work
from deployment.deployment import Options
from deployment.plan import Plan
from deployment.target import Target
from deployment.waiting import Patience
from deployment.world import World
from tests.deployment.project import PROJECT, REGION, Project

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "functions" / "bundle.toml"
DECLARED = declarations.read(ROOT)


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
        self.file.write_text(self.table)
        table = bundle.load(self.file)
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
            world=World(self.project, target.region, patience),  # type: ignore[arg-type]
            gcloud=self.project,  # type: ignore[arg-type]
            patience=patience,
            say=self.said.append,
            progress=self.said.append,
        )

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
    shell.apply()
    shell.project.changes.clear()
    shell.said.clear()
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

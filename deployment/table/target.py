"""What is to be deployed: the table and one environment, with the names that follow from both."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deployment.table import source
from deployment.table.bundle import Bundle, Function
from deployment.table.declarations import Declarations
from deployment.table.environments import Environment
from deployment.table.ownership import Mark

DAY = 86_400
KEPT = 31 * DAY
"""After so many seconds Cloud Tasks forgets a task, and Pub/Sub a message."""

CALLS_TASKS = "tasks-caller"
CALLS_SCHEDULES = "scheduler-caller"
CALLS_EVENTS = "events-caller"
BUILDS = "functions-builder"
PURPOSES = {
    CALLS_TASKS: "Cloud Tasks calls the functions as this account",
    CALLS_SCHEDULES: "Cloud Scheduler calls the functions as this account",
    CALLS_EVENTS: "Pub/Sub calls the functions as this account",
    BUILDS: "the functions are built as this account",
}
PLATFORM = {"FUNCTION_TARGET", "K_SERVICE", "GCE_METADATA_HOST"}
"""Set by the platform."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The table as one environment has it. `name` puts the environment's prefix before a name."""

    bundle: Bundle
    environment: Environment
    declared: Declarations
    root: Path

    @property
    def project(self) -> str:
        """The project's id."""
        return self.environment.project

    @property
    def region(self) -> str:
        """Where everything is that has a region."""
        return self.environment.region

    @property
    def mark(self) -> Mark:
        """What says that a thing is ours."""
        return Mark(self.bundle.head.name, self.environment.name, self.region)

    def name(self, row: str) -> str:
        """What a row is called in the project."""
        return f"{self.environment.prefix}{row}"

    def row(self, name: str) -> str:
        """The row that a name in the project is of."""
        return name.removeprefix(self.environment.prefix)

    def email(self, account: str) -> str:
        """The address of an account of ours."""
        return f"{self.name(account)}@{self.project}.iam.gserviceaccount.com"

    def runs_as(self, function: str) -> str:
        """The account of a function, before its prefix."""
        return f"run-{function}"

    @property
    def repository(self) -> str:
        """Where the images are kept."""
        return self.name(f"{self.bundle.head.name}-images")

    def agent(self, number: str) -> str:
        """Pub/Sub's own account in the project with this number."""
        return f"service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"

    @cached_property
    def accounts(self) -> dict[str, str]:
        """Our accounts, before their prefix, and what each is for."""
        bundle = self.bundle
        wanted = {
            self.runs_as(name): f"the function {name} runs as this account"
            for name in bundle.functions
        }
        used = {BUILDS: True, CALLS_TASKS: bundle.queues, CALLS_SCHEDULES: bundle.schedules}
        used[CALLS_EVENTS] = bundle.subscriptions
        return {**wanted, **{name: PURPOSES[name] for name, rows in used.items() if rows}}

    @cached_property
    def source(self) -> str:
        """The digest of what is uploaded."""
        return source.digest(self.root)

    @property
    def settings(self) -> Mapping[str, str]:
        """The plain settings; in the local cloud those of whoever runs this."""
        settings = dict(self.environment.settings)
        if self.environment.is_local:
            settings |= {
                name: os.environ[name]
                for name in sorted(self.declared.settings - self.computed)
                if os.environ.get(name)
            }
        return settings

    @property
    def computed(self) -> set[str]:
        """The settings that a deployment itself says, or that are not for a deployed function."""
        fixed = {"GOOGLE_CLOUD_PROJECT", "LOCATION", "FIRESTORE_DATABASE", "HANDLER_BUDGET"}
        fixed |= {"QUEUE_PREFIX", "QUEUE_GROUPS"}
        fixed |= {"FUNCTION_TIMEOUT", "LEASE_SECONDS", "MAX_ATTEMPTS", "THREADS"}
        fixed |= {"REDELIVERY_ATTEMPTS", "REDELIVERY_SECONDS", "LOG_EXECUTION_ID"}
        fixed |= {"TASKS_SERVICE_ACCOUNT", "SCHEDULER_SERVICE_ACCOUNT", "PLATFORM_CHECKS_CALLERS"}
        addresses = {
            variable(name, what) for name in self.bundle.functions for what in ("URL", "AUDIENCE")
        }
        hosts = {name for name in self.declared.settings if name.endswith("_EMULATOR_HOST")}
        return fixed | addresses | hosts | PLATFORM

    def called_by_tasks_of(self, function: str) -> list[Function]:
        """The functions whose tasks it makes."""
        called = {q.calls for q in self.bundle.queues.values() if function in q.enqueued_by}
        return [self.bundle.functions[name] for name in sorted(called)]

    def is_scheduled(self, function: str) -> bool:
        """Whether a schedule calls it."""
        return any(row.calls == function for row in self.bundle.schedules.values())


def variable(function: str, what: str) -> str:
    """`REMINDER_URL`."""
    return f"{function.upper().replace('-', '_')}_{what}"

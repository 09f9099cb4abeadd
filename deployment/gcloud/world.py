"""What is there: each thing asked for once, until something was changed.

A list of a service that is not enabled yet, or not in the region, is empty: none of it can exist.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from deployment.gcloud.calls import Failed, Gcloud
from deployment.gcloud.waiting import Patience

Json = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")


LASTING = (("projects", "describe"), ("version",))
"""What nothing here can change."""
TRACKS = ("alpha", "beta")
WORKERS = 32
"""Things that are done at the same time; 1: one after the other."""
TOUCHED = {
    "functions": {"run", "eventarc", "pubsub"},
    "services": {
        *("artifacts", "eventarc", "firestore", "functions", "iam", "logging"),
        *("monitoring", "projects", "quotas"),
        *("pubsub", "run", "scheduler", "secrets", "tasks"),
    },
}
"""What a group of commands changes besides its own things."""


class World:
    """The project, as gcloud shows it."""

    def __init__(
        self, gcloud: Gcloud, region: str, patience: Patience, *, workers: int = WORKERS
    ) -> None:
        self._gcloud = gcloud
        self._workers = workers
        self._patience = patience
        self.region = region
        self._answers: dict[tuple[str, ...], Any] = {}
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._lock = threading.Lock()
        self.calls = 0
        """How often gcloud was asked."""

    def forget(self, changed: Iterable[str] = ()) -> None:
        """Groups of commands, like `pubsub`, changed something; without any: all of them did."""
        groups = set(changed)
        for group in tuple(groups):
            groups |= TOUCHED.get(group, set())
        with self._lock:
            answers = self._answers.items()
            self._answers = {
                words: answer
                for words, answer in answers
                if words in LASTING or (groups and words[words[0] in TRACKS] not in groups)
            }

    def listed(self, *words: str) -> list[Json]:
        """What a `list` command answers; empty while its service is not enabled."""
        return self._once(words, lambda: self._listed(words)) or []

    def policy(self, *words: str) -> dict[str, set[str]]:
        """Role → members of what a `get-iam-policy` answers, without those on a condition."""
        policy = self._once(words, lambda: self._found(words)) or {}
        roles: dict[str, set[str]] = {}
        for binding in policy.get("bindings", []):
            if not binding.get("condition"):
                roles.setdefault(binding["role"], set()).update(binding.get("members", []))
        return roles

    def one(self, *words: str) -> Json | None:
        """What a `describe` command answers; None if it is not there."""
        found: Json | None = self._once(words, lambda: self._found(words))
        return found

    def text(self, *words: str) -> str:
        """One value, like that of `config get`; empty where gcloud has none."""
        return str(self._once(words, lambda: self._ask(words)) or "")

    # --- The lists that more than one kind needs ---

    @property
    def number(self) -> str:
        """The project's number. Raises Failed if whoever runs this does not see the project."""
        found = self._once(("projects", "describe"), self._describe_project)
        return str(found["projectNumber"])

    @property
    def services(self) -> set[str]:
        """The names of the services that are enabled."""
        return {it["config"]["name"] for it in self.listed("services", "list", "--enabled")}

    @property
    def accounts(self) -> dict[str, Json]:
        """Service accounts by email."""
        return {it["email"]: it for it in self.listed("iam", "service-accounts", "list")}

    @property
    def topics(self) -> dict[str, Json]:
        """Topics by id."""
        return by_id(self.listed("pubsub", "topics", "list"))

    @property
    def subscriptions(self) -> dict[str, Json]:
        """Subscriptions by id."""
        return by_id(self.listed("pubsub", "subscriptions", "list"))

    @property
    def queues(self) -> dict[str, Json]:
        """The queues of the region by id."""
        return by_id(self.listed("tasks", "queues", "list", f"--location={self.region}"))

    @property
    def jobs(self) -> dict[str, Json]:
        """The schedules of the region by id."""
        return by_id(self.listed("scheduler", "jobs", "list", f"--location={self.region}"))

    @property
    def functions(self) -> dict[str, Json]:
        """The functions (2nd gen) of the region by id."""
        return by_id(self.listed("functions", "list", "--v2", f"--regions={self.region}"))

    @property
    def run_services(self) -> dict[str, Json]:
        """The Cloud Run services of the region by id; a function is one of the same name."""
        found = self.listed("run", "services", "list", f"--region={self.region}")
        return {it["metadata"]["name"]: it for it in found}

    @property
    def secrets(self) -> dict[str, Json]:
        """Secrets by id."""
        return by_id(self.listed("secrets", "list"))

    @property
    def repositories(self) -> dict[str, Json]:
        """The artifact repositories of the region by id."""
        return by_id(self.listed("artifacts", "repositories", "list", f"--location={self.region}"))

    @property
    def databases(self) -> dict[str, Json]:
        """Firestore databases by id."""
        return by_id(self.listed("firestore", "databases", "list"))

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The same for several things at once, in their order."""
        things = list(items)
        if len(things) < 2 or self._workers == 1:
            return [work(it) for it in things]
        with ThreadPoolExecutor(max_workers=min(self._workers, len(things))) as pool:
            return list(pool.map(work, things))

    def _once(self, words: tuple[str, ...], ask: Callable[[], Any]) -> Any:
        with self._lock:
            lock = self._locks.setdefault(words, threading.Lock())
        with lock:
            if words not in self._answers:
                answer = ask()
                self.calls += 1
                self._answers[words] = answer
            return self._answers[words]

    def _describe_project(self) -> Json:
        found: Json = self._ask(("projects", "describe", self._gcloud.project))
        return found

    def _ask(self, words: tuple[str, ...]) -> Any:
        tries, began = 0, time.monotonic()
        while True:
            try:
                return self._gcloud.run(*words)
            except Failed as failed:
                if not self._patience.again(failed.failure, tries, began, " ".join(words[:3])):
                    raise
                tries += 1

    def _listed(self, words: tuple[str, ...]) -> Any:
        try:
            return self._ask(words)
        except Failed as failed:
            if failed.failure.is_disabled or failed.failure.is_elsewhere:
                return []
            raise

    def _found(self, words: tuple[str, ...]) -> Any:
        try:
            return self._ask(words)
        except Failed as failed:
            if failed.failure.is_disabled or failed.failure.is_not_there:
                return None
            raise


def by_id(found: list[Json]) -> dict[str, Json]:
    """Things by the last part of their name."""
    return {it["name"].rpartition("/")[2]: it for it in found}


def labels_of(thing: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of whatever has them."""
    labels: Mapping[str, str] = thing.get("labels") or {}
    return labels

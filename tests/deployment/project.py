"""A project in memory that answers gcloud's commands, for what the local cloud does not have.

It takes the place of `deployment.gcloud.Gcloud`: calls are recorded, one of them can be refused or
interrupted, and things of others can be there before. What it answers is what gcloud 528 printed
for the same command.
"""

import base64
import copy
import json
import threading
from collections.abc import Callable
from typing import Any

from deployment.gcloud import failures
from deployment.gcloud.calls import Command, Failed

PROJECT, REGION, NUMBER = "my-project", "europe-west1", "123456789012"
LOCATION = f"projects/{PROJECT}/locations/{REGION}"
HASH = "-k3jx7ab2wq-ew.a.run.app"
INGRESS = {"all": "ALLOW_ALL", "internal-only": "ALLOW_INTERNAL_ONLY"}
EGRESS = {"all": "ALL_TRAFFIC", "private-ranges-only": "PRIVATE_RANGES_ONLY"}
OWNER = {"role": "roles/owner", "members": ["user:owner@example.com"]}
SERVICES = {
    "artifacts": "artifactregistry",
    "eventarc": "eventarc",
    "firestore": "firestore",
    "functions": "cloudfunctions",
    "iam": "iam",
    "monitoring": "monitoring",
    "pubsub": "pubsub",
    "quotas": "cloudquotas",
    "run": "run",
    "scheduler": "cloudscheduler",
    "secrets": "secretmanager",
    "tasks": "cloudtasks",
}
READING = {"list", "describe", "get-iam-policy", "get", "version", "read"}
Json = dict[str, Any]
Names = list[str]
Flags = dict[str, str]


class Interrupted(BaseException):
    """The program was killed."""


class Project:
    """What there is, and the calls that were made."""

    def __init__(self, *, fresh: bool = True) -> None:
        self.project = PROJECT
        self.things: dict[str, dict[str, Json]] = {}
        self.policies: dict[str, list[Json]] = {f"project {PROJECT}": [copy.deepcopy(OWNER)]}
        self.services: set[str] = {"logging", "cloudresourcemanager"}
        if not fresh:
            self.services |= set(SERVICES.values())
        self.missing: set[str] = set()
        """Groups of commands whose service does not exist in the region."""
        self.cpu_quota = 20_000
        """Thousandths of a vCPU in the region."""
        self.org_policies: dict[str, Json] = {}
        """What the organization says, by constraint."""
        self.version = "528.0.0"
        """Of gcloud."""
        self.outcomes: dict[str, Json] = {}
        """What becomes of the `task`, `tick` and `event` of a proof, if it is not well."""
        self.calls: list[tuple[str, ...]] = []
        self.changes: list[tuple[str, ...]] = []
        self.refuse: Callable[[tuple[str, ...]], str | None] = lambda words: None
        """Asked before each call; the text of the error that it gets."""
        self.interrupt_after: int | None = None
        """How many changes are made before everything stops; that one is made."""
        self._lock = threading.RLock()

    def copy(self) -> "Project":
        """Another project in which there is the same; no call of it was recorded yet."""
        made = Project()
        made.things, made.policies = copy.deepcopy((self.things, self.policies))
        made.services = set(self.services)
        return made

    # --- As `Gcloud` ---

    def run(self, *words: str) -> Any:
        """The answer of a command."""
        return self.carry_out(Command(words=words))

    def carry_out(self, command: Command) -> Any:
        """The same for a command with input or files."""
        with self._lock:
            if self.interrupt_after is not None and len(self.changes) > self.interrupt_after:
                raise Interrupted
            words = command.words
            self.calls.append(words)
            error = self.refuse(words) or self._is_disabled(words)
            if error:
                raise Failed(words, failures.read(error))
            verb, names, flags = _parse(command)
            if not READING & set(verb.split()):
                self.changes.append(words)
            answer = self._answer(verb, names, flags, command)
            if self.interrupt_after is not None and len(self.changes) > self.interrupt_after:
                raise Interrupted
            return copy.deepcopy(answer)

    # --- For tests ---

    def of(self, kind: str) -> dict[str, Json]:
        """The things of a kind by id."""
        return self.things.setdefault(kind, {})

    def has(self, place: str, role: str, member: str) -> bool:
        """Whether a member has a role on `queue reminders`, `project my-project`, …"""
        found = self.policies.get(place, [])
        return any(it["role"] == role and member in it["members"] for it in found)

    def grant(self, place: str, role: str, member: str) -> None:
        """Somebody grants a role by hand."""
        bindings = self.policies.setdefault(place, [])
        for binding in bindings:
            if binding["role"] == role:
                binding["members"].append(member)
                return
        bindings.append({"role": role, "members": [member]})

    def snapshot(self) -> str:
        """All there is, to compare."""
        things = {kind: found for kind, found in self.things.items() if found}
        policies = {
            place: sorted((it["role"], sorted(it["members"])) for it in bindings if it["members"])
            for place, bindings in self.policies.items()
        }
        services = sorted(self.services)
        return json.dumps(
            [things, {k: v for k, v in policies.items() if v}, services], sort_keys=True
        )

    # --- Commands ---

    def _is_disabled(self, words: tuple[str, ...]) -> str | None:
        group = words[words[0] in ("alpha", "beta")]
        service = SERVICES.get(group)
        if service is None or service in self.services:
            return None
        return (
            f"ERROR: (gcloud.{group}) PERMISSION_DENIED: The API has not been used in project "
            f"{PROJECT} before or it is disabled.\n  reason: SERVICE_DISABLED\n"
        )

    def _answer(self, verb: str, names: Names, flags: Flags, command: Command) -> Any:
        words = verb.removeprefix("alpha ").removeprefix("beta ").split()
        if "iam-policy" in words[-1]:
            return self._policy(words, names, flags)
        method: Callable[..., Any] = getattr(self, "_" + "_".join(words).replace("-", "_"))
        return method(names, flags, command)

    def _policy(self, words: list[str], names: Names, flags: Flags) -> Json:
        kind = {
            "projects": "project",
            "service-accounts": "account",
            "topics": "topic",
            "subscriptions": "subscription",
            "queues": "queue",
            "services": "service",
            "secrets": "secret",
            "repositories": "repository",
        }[words[-2]]
        place = f"{kind} {names[0]}"
        there = {"project": {PROJECT}, "service": self.of("function")}.get(kind, self.of(kind))
        if names[0] not in there:
            _fail("NOT_FOUND: Resource not found.")
        bindings = self.policies.setdefault(place, [])
        if words[-1] == "get-iam-policy":
            return {"bindings": bindings, "etag": "ACAB"}
        role, member = flags["role"], flags["member"]
        self._check_member(member)
        held = [it for it in bindings if it["role"] == role]
        if words[-1].startswith("add"):
            if not held:
                held = [{"role": role, "members": []}]
                bindings += held
            if member not in held[0]["members"]:
                held[0]["members"].append(member)
        else:
            if not held or member not in held[0]["members"]:
                _fail("Policy binding with the specified principal and role not found!")
            held[0]["members"].remove(member)
        return {"bindings": bindings}

    def _check_member(self, member: str) -> None:
        email = member.partition(":")[2]
        if email.endswith(f"@{PROJECT}.iam.gserviceaccount.com") and email not in self.of(
            "account"
        ):
            _fail(f"INVALID_ARGUMENT: Service account {email} does not exist.")

    def _make(self, kind: str, name: str, thing: Json) -> Json:
        if name in self.of(kind):
            _fail(f"ALREADY_EXISTS: {kind} {name} already exists")
        self.of(kind)[name] = thing
        return thing

    def _get(self, kind: str, name: str) -> Json:
        if name not in self.of(kind):
            _fail(f"NOT_FOUND: {kind} {name} was not found")
        return self.of(kind)[name]

    def _list(self, kind: str) -> list[Json]:
        return list(self.of(kind).values())

    def _resource_manager_org_policies_describe(self, names: Names, *_: Any) -> Json:
        return self.org_policies.get(names[0], {})

    def _version(self, *_: Any) -> Json:
        return {"Google Cloud SDK": self.version}

    def _config_get(self, *_: Any) -> str:
        return "deployer@example.com"

    def _projects_describe(self, names: Names, *_: Any) -> Json:
        if names[0] != PROJECT:
            _fail(f"PERMISSION_DENIED: The caller does not have permission to see {names[0]}")
        return {"projectId": PROJECT, "projectNumber": NUMBER}

    def _services_list(self, *_: Any) -> list[Json]:
        return [{"config": {"name": f"{it}.googleapis.com"}} for it in sorted(self.services)]

    def _services_enable(self, names: Names, *_: Any) -> None:
        self.services |= {name.partition(".")[0] for name in names}

    def _services_identity_create(self, names: Names, flags: Flags, *_: Any) -> None:
        if "beta" in self.missing:
            _fail("Invalid choice: 'identity'.")
        self.of("agent")[flags["service"]] = {}

    def _iam_service_accounts_list(self, *_: Any) -> list[Json]:
        return self._list("account")

    def _iam_service_accounts_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        email = f"{names[0]}@{PROJECT}.iam.gserviceaccount.com"
        account = {"email": email, "description": flags["description"], "disabled": False}
        return self._make("account", email, account)

    def _iam_service_accounts_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        account = self._get("account", names[0])
        account["description"] = flags["description"]
        return account

    def _iam_service_accounts_delete(self, names: Names, *_: Any) -> None:
        self._get("account", names[0])
        del self.of("account")[names[0]]

    def _artifacts_repositories_list(self, *_: Any) -> list[Json]:
        return self._list("repository")

    def _artifacts_repositories_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        name, labels = f"{LOCATION}/repositories/{names[0]}", _pairs(flags["labels"])
        key = {"kmsKeyName": flags["kms-key"]} if "kms-key" in flags else {}
        return self._make("repository", names[0], {"name": name, "labels": labels, **key})

    def _artifacts_repositories_delete(self, names: Names, *_: Any) -> None:
        del self.of("repository")[names[0]]

    def _firestore_databases_list(self, *_: Any) -> list[Json]:
        return self._list("database")

    def _firestore_databases_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        name = flags["database"]
        made = {
            "name": f"projects/{PROJECT}/databases/{name}",
            "type": "FIRESTORE_NATIVE",
            "locationId": flags["location"],
            "deleteProtectionState": "DELETE_PROTECTION_ENABLED",
        }
        return self._make("database", name, made)

    def _firestore_databases_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        state = "DISABLED" if "no-delete-protection" in flags else "ENABLED"
        database = self._get("database", flags["database"])
        database["deleteProtectionState"] = f"DELETE_PROTECTION_{state}"
        return database

    def _firestore_databases_delete(self, names: Names, flags: Flags, *_: Any) -> None:
        database = self._get("database", flags["database"])
        if database["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED":
            _fail("FAILED_PRECONDITION: Delete protection is enabled on the database.")
        del self.of("database")[flags["database"]]

    def _firestore_bulk_delete(self, names: Names, flags: Flags, *_: Any) -> None:
        self.of("deleted")[flags["collection-ids"]] = {}

    def _firestore_fields_ttls_list(self, *_: Any) -> list[Json]:
        return self._list("ttl")

    def _firestore_indexes_fields_list(self, *_: Any) -> list[Json]:
        return self._list("exemption")

    def _firestore_fields_ttls_update(self, names: Names, flags: Flags, *_: Any) -> None:
        self._field("ttl", names, flags)

    def _firestore_indexes_fields_update(self, names: Names, flags: Flags, *_: Any) -> None:
        self._field("exemption", names, flags)

    def _field(self, kind: str, names: Names, flags: Flags) -> None:
        group, database = flags["collection-group"], flags["database"]
        self._get("database", database)
        path = f"projects/{PROJECT}/databases/{database}/collectionGroups/{group}/fields/{names[0]}"
        self.of(kind)[group] = {"name": path}

    def _pubsub_topics_list(self, *_: Any) -> list[Json]:
        return self._list("topic")

    def _pubsub_topics_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        topic = {"name": f"projects/{PROJECT}/topics/{names[0]}", "labels": _pairs(flags["labels"])}
        return self._make("topic", names[0], topic)

    def _pubsub_topics_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        topic = self._get("topic", names[0])
        topic.setdefault("labels", {}).update(_pairs(flags["update-labels"]))
        return topic

    def _pubsub_topics_delete(self, names: Names, *_: Any) -> None:
        self._get("topic", names[0])
        del self.of("topic")[names[0]]

    def _pubsub_subscriptions_list(self, *_: Any) -> list[Json]:
        return self._list("subscription")

    def _pubsub_subscriptions_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        self._get("topic", flags["topic"])
        made: Json = {
            "name": f"projects/{PROJECT}/subscriptions/{names[0]}",
            "topic": f"projects/{PROJECT}/topics/{flags['topic']}",
            "labels": _pairs(flags["labels"]),
        }
        return self._make("subscription", names[0], _subscribed(made, flags))

    def _pubsub_subscriptions_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        return _subscribed(self._get("subscription", names[0]), flags)

    def _pubsub_subscriptions_modify_push_config(self, names: Names, flags: Flags, *_: Any) -> None:
        found = self._get("subscription", names[0])
        found["pushConfig"] = {}
        _subscribed(found, flags)

    def _pubsub_subscriptions_delete(self, names: Names, *_: Any) -> None:
        self._get("subscription", names[0])
        del self.of("subscription")[names[0]]

    def _tasks_queues_list(self, *_: Any) -> list[Json]:
        return self._list("queue")

    def _tasks_queues_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        queue = {"name": f"{LOCATION}/queues/{names[0]}", "state": "RUNNING"}
        return self._make("queue", names[0], _queued(queue, flags))

    def _tasks_queues_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        return _queued(self._get("queue", names[0]), flags)

    def _tasks_queues_pause(self, names: Names, *_: Any) -> None:
        self._get("queue", names[0])["state"] = "PAUSED"

    def _tasks_queues_purge(self, names: Names, *_: Any) -> None:
        self._get("queue", names[0])["waiting"] = 0

    def _tasks_queues_resume(self, names: Names, *_: Any) -> None:
        self._get("queue", names[0])["state"] = "RUNNING"

    def _tasks_queues_delete(self, names: Names, *_: Any) -> None:
        self._get("queue", names[0])
        del self.of("queue")[names[0]]
        self.policies.pop(f"queue {names[0]}", None)

    def _tasks_list(self, names: Names, flags: Flags, *_: Any) -> list[Json]:
        count = self._get("queue", flags["queue"]).get("waiting", 0)
        return [{"name": f"task-{n}"} for n in range(min(count, int(flags["limit"])))]

    def _scheduler_jobs_list(self, *_: Any) -> list[Json]:
        return self._list("job")

    def _scheduler_jobs_create_http(self, names: Names, flags: Flags, *_: Any) -> Json:
        return self._make("job", names[0], _job(names[0], {}, flags))

    def _scheduler_jobs_update_http(self, names: Names, flags: Flags, *_: Any) -> Json:
        self.of("job")[names[0]] = _job(names[0], self._get("job", names[0]), flags)
        return self.of("job")[names[0]]

    def _scheduler_jobs_pause(self, names: Names, *_: Any) -> None:
        self._get("job", names[0])["state"] = "PAUSED"

    def _scheduler_jobs_resume(self, names: Names, *_: Any) -> None:
        self._get("job", names[0])["state"] = "ENABLED"

    def _scheduler_jobs_delete(self, names: Names, *_: Any) -> None:
        self._get("job", names[0])
        del self.of("job")[names[0]]

    def _functions_regions_list(self, *_: Any) -> list[Json]:
        return self._places("functions")

    def _tasks_locations_list(self, *_: Any) -> list[Json]:
        return self._places("tasks")

    def _scheduler_locations_list(self, *_: Any) -> list[Json]:
        return self._places("scheduler")

    def _places(self, service: str) -> list[Json]:
        there = [REGION, "us-east1"] if service not in self.missing else ["us-east1"]
        return [{"name": f"projects/{PROJECT}/locations/{it}", "locationId": it} for it in there]

    def _tasks_create_http_task(self, names: Names, flags: Flags, *_: Any) -> None:
        self.of("task")[names[0]] = {"url": flags["url"]}

    def _tasks_describe(self, names: Names, *_: Any) -> Json:
        """It is gone at once, unless a test says what became of it."""
        if "task" in self.outcomes:
            return {"lastAttempt": {"responseStatus": self.outcomes["task"]}}
        return self._get("gone", names[0])

    def _scheduler_jobs_run(self, names: Names, *_: Any) -> None:
        job = self._get("job", names[0])
        job["lastAttemptTime"] = f"2026-01-01T00:00:{len(self.changes):03}Z"
        job["status"] = self.outcomes.get("tick", {})

    def _scheduler_jobs_describe(self, names: Names, *_: Any) -> Json:
        return self._get("job", names[0])

    def _pubsub_topics_publish(self, names: Names, flags: Flags, *_: Any) -> None:
        self._get("topic", names[0])
        self.of("message")[json.loads(flags["message"])["event_id"]] = {}

    def _logging_read(self, names: Names, *_: Any) -> list[Json]:
        told = [{"id": it} for it in self.of("message") if it in names[0]]
        return [] if "event" in self.outcomes else told

    def _logging_metrics_list(self, *_: Any) -> list[Json]:
        return self._list("metric")

    def _logging_metrics_create(self, names: Names, flags: Flags, *_: Any) -> Json:
        return self._make("metric", names[0], _metric(names[0], flags))

    def _logging_metrics_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        self._get("metric", names[0]).update(_metric(names[0], flags))
        return self._get("metric", names[0])

    def _logging_metrics_delete(self, names: Names, *_: Any) -> None:
        del self.of("metric")[names[0]]

    def _quotas_info_describe(self, *_: Any) -> Json:
        if "beta" in self.missing:
            _fail("Invalid choice: 'quotas'.")
        elsewhere = {"applicableLocations": ["us-east1"], "details": {"value": "1000"}}
        here = {"applicableLocations": [REGION], "details": {"value": str(self.cpu_quota)}}
        return {"dimensionsInfos": [elsewhere, here]}

    def _secrets_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        secret = self._get("secret", names[0])
        secret.setdefault("labels", {}).update(_pairs(flags["update-labels"]))
        return secret

    def _artifacts_repositories_update(self, names: Names, flags: Flags, *_: Any) -> Json:
        repository = self._get("repository", names[0])
        repository.setdefault("labels", {}).update(_pairs(flags["update-labels"]))
        return repository

    def _secrets_list(self, *_: Any) -> list[Json]:
        return self._list("secret")

    def _secrets_versions_list(self, names: Names, *_: Any) -> list[Json]:
        count = len(self._get("secret", names[0])["values"])
        path = f"projects/{NUMBER}/secrets/{names[0]}/versions"
        return [{"name": f"{path}/{n}", "state": "ENABLED"} for n in range(1, count + 1)]

    def _secrets_create(self, names: Names, flags: Flags, command: Command) -> Json:
        secret = {
            "name": f"projects/{NUMBER}/secrets/{names[0]}",
            "labels": _pairs(flags["labels"]),
            "values": [command.input],
        }
        return self._make("secret", names[0], secret)

    def _secrets_versions_add(self, names: Names, flags: Any, command: Command) -> Json:
        secret = self._get("secret", names[0])
        secret["values"].append(command.input)
        return secret

    def _secrets_delete(self, names: Names, *_: Any) -> None:
        del self.of("secret")[names[0]]

    def _functions_list(self, *_: Any) -> list[Json]:
        return self._list("function")

    def _functions_deploy(self, names: Names, flags: Flags, command: Command) -> Json:
        name, found = names[0], self.of("function").get(names[0])
        made = found or {"name": f"{LOCATION}/functions/{name}", "labels": {}}
        made = _function(name, made, flags, json.loads(command.files["--env-vars-file"]))
        if "trigger-topic" in flags:
            self._forget_trigger(made)
            made["eventTrigger"] = self._trigger(name, flags)
        elif "trigger-http" in flags:
            made.pop("eventTrigger", None)
        elif "retry" in flags:
            made["eventTrigger"]["retryPolicy"] = "RETRY_POLICY_RETRY"
        elif found is None:
            _fail("You must specify a trigger when deploying a new function.")
        made["state"] = "ACTIVE"
        self.of("function")[name] = made
        return made

    def _trigger(self, name: str, flags: dict[str, str]) -> Json:
        """Eventarc makes a trigger and a subscription, with values of its own."""
        topic = f"projects/{PROJECT}/topics/{flags['trigger-topic']}"
        self._get("topic", flags["trigger-topic"])
        number = len(self.changes)
        trigger, subscription = f"{name}-{number}", f"eventarc-{REGION}-{name}-sub-{number}"
        self.of("trigger")[f"{LOCATION}/triggers/{trigger}"] = {
            "transport": {
                "pubsub": {"subscription": f"projects/{PROJECT}/subscriptions/{subscription}"}
            }
        }
        self.of("subscription")[subscription] = {
            "name": f"projects/{PROJECT}/subscriptions/{subscription}",
            "topic": topic,
            "ackDeadlineSeconds": 10,
            "messageRetentionDuration": "86400s",
            "expirationPolicy": {},
            "labels": {"goog-eventarc": ""},
            "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
            "pushConfig": {"pushEndpoint": f"https://{name}{HASH}?__GCP_CloudEventsMode=CUSTOM"},
        }
        return {
            "trigger": f"{LOCATION}/triggers/{trigger}",
            "pubsubTopic": topic,
            "retryPolicy": "RETRY_POLICY_RETRY"
            if "retry" in flags
            else "RETRY_POLICY_DO_NOT_RETRY",
            "serviceAccountEmail": flags["trigger-service-account"],
        }

    def _functions_delete(self, names: Names, *_: Any) -> None:
        self._forget_trigger(self._get("function", names[0]))
        del self.of("function")[names[0]]

    def _forget_trigger(self, function: Json) -> None:
        """A trigger goes with its function, or when it is sent anew, and takes its subscription."""
        trigger = (function.get("eventTrigger") or {}).get("trigger")
        if trigger:
            fed = self.of("trigger").pop(trigger)["transport"]["pubsub"]["subscription"]
            self.of("subscription").pop(fed.rpartition("/")[2], None)

    def _eventarc_triggers_describe(self, names: Names, *_: Any) -> Json:
        return self._get("trigger", names[0])

    def _run_services_list(self, *_: Any) -> list[Json]:
        names = [*self.of("function"), *self.of("run")]
        return [
            {
                "metadata": {"name": name, "annotations": self.of("annotations").get(name, {})},
                "status": {"url": f"https://{name}{HASH}"},
            }
            for name in names
        ]

    def _run_services_update(self, names: Names, *_: Any) -> None:
        self.of("annotations").pop(names[0], None)

    def _monitoring_policies_list(self, *_: Any) -> list[Json]:
        return self._list("alert")

    def _monitoring_policies_create(self, names: Names, flags: Any, command: Command) -> Json:
        policy: Json = json.loads(command.files["--policy-from-file"])
        name = f"projects/{PROJECT}/alertPolicies/{len(self.changes)}"
        self.of("alert")[name] = {**policy, "name": name}
        return policy

    def _monitoring_policies_update(self, names: Names, flags: Any, command: Command) -> Json:
        self.of("alert")[names[0]] = json.loads(command.files["--policy-from-file"])
        return self.of("alert")[names[0]]

    def _monitoring_policies_delete(self, names: Names, *_: Any) -> None:
        del self.of("alert")[names[0]]


VERBS = (
    *(
        "create http",
        "update http",
        "create-http-task",
        "run",
        "publish",
        "read",
        "create",
        "update",
        "delete",
        "deploy",
        "enable",
        "list",
    ),
    *(
        "describe",
        "pause",
        "resume",
        "purge",
        "add",
        "get",
        "version",
        "bulk-delete",
        "modify-push-config",
    ),
    *("get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding"),
)


def _parse(command: Command) -> tuple[str, list[str], dict[str, str]]:
    """The command, what it is about, and its flags without the dashes."""
    words = [word for word in command.words if not word.startswith("--")]
    pairs = [word[2:].partition("=") for word in command.words if word.startswith("--")]
    flags = {name: value for name, _, value in pairs}
    for end in range(len(words), 0, -1):
        verb = " ".join(words[:end])
        if any(f" {verb}".endswith(f" {known}") for known in VERBS):
            return verb, words[end:], flags
    raise AssertionError(f"no such command: {command.words}")


def _fail(text: str) -> None:
    raise Failed(("gcloud",), failures.read(f"ERROR: (gcloud) {text}"))


def _pairs(text: str) -> dict[str, str]:
    return dict(it.split("=", 1) for it in text.split(","))


def _put(thing: Json, flags: dict[str, str], places: dict[str, str]) -> Json:
    for flag, path in places.items():
        if flag in flags:
            *parents, last = path.split(".")
            inner = thing
            for parent in parents:
                inner = inner.setdefault(parent, {})
            value: Any = flags[flag]
            inner[last] = int(value) if value.lstrip("-").isdigit() else value
    return thing


def _queued(queue: Json, flags: dict[str, str]) -> Json:
    return _put(
        queue,
        {**flags, "max-dispatches-per-second": str(int(float(flags["max-dispatches-per-second"])))},
        {
            "max-dispatches-per-second": "rateLimits.maxDispatchesPerSecond",
            "max-concurrent-dispatches": "rateLimits.maxConcurrentDispatches",
            "max-attempts": "retryConfig.maxAttempts",
            "min-backoff": "retryConfig.minBackoff",
            "max-backoff": "retryConfig.maxBackoff",
            "max-doublings": "retryConfig.maxDoublings",
        },
    )


def _subscribed(found: Json, flags: dict[str, str]) -> Json:
    if flags.get("expiration-period") == "never":
        found["expirationPolicy"] = {}
    if "dead-letter-topic" in flags:
        topic = f"projects/{PROJECT}/topics/{flags['dead-letter-topic']}"
        found.setdefault("deadLetterPolicy", {})["deadLetterTopic"] = topic
    if "update-labels" in flags:
        found.setdefault("labels", {}).update(_pairs(flags["update-labels"]))
    return _put(
        found,
        flags,
        {
            "ack-deadline": "ackDeadlineSeconds",
            "message-retention-duration": "messageRetentionDuration",
            "min-retry-delay": "retryPolicy.minimumBackoff",
            "max-retry-delay": "retryPolicy.maximumBackoff",
            "max-delivery-attempts": "deadLetterPolicy.maxDeliveryAttempts",
            "push-endpoint": "pushConfig.pushEndpoint",
            "push-auth-service-account": "pushConfig.oidcToken.serviceAccountEmail",
            "push-auth-token-audience": "pushConfig.oidcToken.audience",
        },
    )


def _metric(name: str, flags: dict[str, str]) -> Json:
    return {"name": name, "description": flags["description"], "filter": flags["log-filter"]}


def _job(name: str, found: Json, flags: dict[str, str]) -> Json:
    http: Json = {
        "uri": flags["uri"],
        "httpMethod": flags["http-method"].upper(),
        "body": base64.b64encode(flags["message-body"].encode()).decode(),
        "headers": _headers(found, flags),
        "oidcToken": {
            "serviceAccountEmail": flags["oidc-service-account-email"],
            "audience": flags["oidc-token-audience"],
        },
    }
    retry: Json = {
        "maxRetryDuration": flags["max-retry-duration"],
        "minBackoffDuration": flags["min-backoff"],
        "maxBackoffDuration": flags["max-backoff"],
    }
    if flags["max-retry-attempts"] != "0":
        retry["retryCount"] = int(flags["max-retry-attempts"])
    return {
        "name": f"{LOCATION}/jobs/{name}",
        "state": found.get("state", "ENABLED"),
        "schedule": flags["schedule"],
        "timeZone": flags["time-zone"],
        "description": flags["description"],
        "attemptDeadline": flags["attempt-deadline"],
        "httpTarget": http,
        "retryConfig": retry,
    }


def _headers(found: Json, flags: dict[str, str]) -> Json:
    """`--update-headers` adds to those that are there."""
    if "headers" in flags:
        return _pairs(flags["headers"])
    held = found.get("httpTarget", {}).get("headers", {})
    removed = flags.get("remove-headers", "").split(",")
    kept = {name: value for name, value in held.items() if name not in removed}
    return {**kept, **_pairs(flags["update-headers"])}


def _function(name: str, made: Json, flags: dict[str, str], variables: Json) -> Json:
    made = {**made, "labels": {**made["labels"], **_pairs(flags["update-labels"])}}
    made["buildConfig"] = {
        "runtime": flags["runtime"],
        "entryPoint": flags["entry-point"],
        "serviceAccount": flags["build-service-account"],
        "dockerRepository": flags["docker-repository"],
        "environmentVariables": _pairs(flags["set-build-env-vars"]),
    }
    held = [it.replace("=", ":").split(":") for it in flags.get("set-secrets", "").split(",") if it]
    made["serviceConfig"] = {
        "availableMemory": flags["memory"],
        "availableCpu": flags["cpu"],
        "maxInstanceRequestConcurrency": int(flags["concurrency"]),
        "minInstanceCount": int(flags["min-instances"]),
        "maxInstanceCount": int(flags["max-instances"]),
        "timeoutSeconds": int(flags["timeout"].rstrip("s")),
        "serviceAccountEmail": flags["service-account"],
        "ingressSettings": INGRESS[flags["ingress-settings"]],
        "environmentVariables": variables,
        "secretEnvironmentVariables": [
            {"key": key, "secret": secret, "version": version} for key, secret, version in held
        ],
        "uri": f"https://{name}{HASH}",
    }
    if "vpc-connector" in flags:
        made["serviceConfig"]["vpcConnector"] = flags["vpc-connector"]
        made["serviceConfig"]["vpcConnectorEgressSettings"] = EGRESS[flags["egress-settings"]]
    if "kms-key" in flags:
        made["kmsKeyName"] = flags["kms-key"]
    if "clear-kms-key" in flags:
        made.pop("kmsKeyName", None)
    return made

"""`gcloud logging …` and `gcloud monitoring …`: what functions printed is found; metrics, policies
and channels are kept and shown, and nobody is alerted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from local.gcloud.command import Call, Field, command, say
from local.gcloud.errors import GcloudError
from local.gcloud.values import labels, pairs, seconds

METRIC: dict[str, Field] = {"--description": ("description", str), "--log-filter": ("filter", str)}
CHANNEL: dict[str, Field] = {
    "--display-name": ("displayName", str),
    "--description": ("description", str),
    "--type": ("type", str),
    "--channel-labels": ("labels", pairs),
    "--user-labels": ("userLabels", labels),
}
PLACES = {"policies": "alertPolicies", "channels": "notificationChannels"}
NOUNS = {"policies": "alert policy", "channels": "notification channel"}


@command("logging read", "--freshness", "--limit", "--order")
def read(call: Call) -> Any:
    """List what functions printed lately and a filter finds, the newest first."""
    order = call.flag("--order", "desc")
    given = call.arguments[0] if call.arguments else ""
    asked = {
        "resourceNames": [f"projects/{call.project}"],
        "filter": given if "timestamp" in given else _fresh(call, given),
        "orderBy": f"timestamp {order}",
    }
    return call.limited(call.cloud.post("/v2/entries:list", asked).get("entries", []))


def _fresh(call: Call, given: str) -> str:
    """The filter with the end of what is too old."""
    age = timedelta(seconds=call.read("--freshness", seconds, "1d"))
    since = f'timestamp>="{(datetime.now(UTC) - age).isoformat()}"'
    return f"{since} AND ({given})" if given else since


def metric_of(call: Call) -> str:
    """Return the path of the metric that is named."""
    return f"/v2/projects/{call.project}/metrics/{call.name}"


@command("logging metrics create", *METRIC, is_quiet=True)
def create_metric(call: Call) -> Any:
    """Make a metric."""
    body, _ = call.body(METRIC)
    path = f"/v2/projects/{call.project}/metrics"
    made = call.cloud.post(path, {**body, "name": call.name})
    say(f"Created [{call.name}].")
    return made


@command("logging metrics update", *METRIC, is_quiet=True)
def update_metric(call: Call) -> Any:
    """Change what the flags name."""
    body, _ = call.body(METRIC)
    changed = call.cloud.put(metric_of(call), {**call.cloud.get(metric_of(call)), **body})
    say(f"Updated [{call.name}].")
    return changed


@command("logging metrics describe")
def describe_metric(call: Call) -> Any:
    """Describe one metric."""
    return call.cloud.get(metric_of(call))


@command("logging metrics list", "--limit")
def list_metrics(call: Call) -> Any:
    """List all metrics."""
    found = call.cloud.each(f"/v2/projects/{call.project}/metrics", "metrics")
    return call.limited(list(found))


@command("logging metrics delete", is_quiet=True)
def delete_metric(call: Call) -> Any:
    """Remove a metric."""
    answer = call.cloud.delete(metric_of(call))
    say(f"Deleted [{call.name}].")
    return answer


@command("monitoring policies create", "--policy", "--policy-from-file")
def create_policy(call: Call) -> Any:
    """Make an alert policy from its JSON; a second call makes a second one."""
    return _created(call, "policies", _document(call))


@command("monitoring policies update", "--policy", "--policy-from-file")
def update_policy(call: Call) -> Any:
    """Put another alert policy in the place of one."""
    document = {key: value for key, value in _document(call).items() if key != "name"}
    old = call.cloud.get(_path(call, "policies"))
    mask = sorted({*document, *old} - {"name"})
    changed = call.cloud.patch(_path(call, "policies"), document, updateMask=",".join(mask))
    say(f"Updated alert policy [{changed['name']}].")
    return changed


@command("monitoring channels create", *CHANNEL)
def create_channel(call: Call) -> Any:
    """Make a notification channel."""
    return _created(call, "channels", call.body(CHANNEL)[0])


def _commands(kind: str) -> None:
    @command(f"monitoring {kind} list", "--filter", "--limit")
    def listed(call: Call) -> Any:
        query = {"filter": call.flag("--filter")} if call.flag("--filter") else {}
        path = f"/v3/projects/{call.project}/{PLACES[kind]}"
        return call.limited(list(call.cloud.each(path, PLACES[kind], **query)))

    @command(f"monitoring {kind} describe")
    def describe(call: Call) -> Any:
        return call.cloud.get(_path(call, kind))

    @command(f"monitoring {kind} delete", "--force", is_quiet=True)
    def delete(call: Call) -> Any:
        answer = call.cloud.delete(_path(call, kind))
        say(f"Deleted {NOUNS[kind]} [{_path(call, kind)[4:]}].")
        return answer


_commands("policies")
_commands("channels")


def _created(call: Call, kind: str, document: Any) -> Any:
    made = call.cloud.post(f"/v3/projects/{call.project}/{PLACES[kind]}", document)
    say(f"Created {NOUNS[kind]} [{made['name']}].")
    return made


def _path(call: Call, kind: str) -> str:
    return f"/v3/projects/{call.project}/{PLACES[kind]}/{call.id}"


def _document(call: Call) -> Any:
    text = call.flag("--policy")
    if call.given("--policy-from-file"):
        path = call.flag("--policy-from-file")
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise GcloudError(f"Unable to read file [{path}]: {error}") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise GcloudError(f"Could not parse policy string: {error}") from error

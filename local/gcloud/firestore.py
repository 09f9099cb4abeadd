"""`gcloud firestore …`: databases, TTL policies and index exemptions."""

from typing import Any

from local.gcloud import locations
from local.gcloud.command import Call, Field, command, outcome, say

TTLS, EXEMPTIONS = "ttlConfig:*", "indexConfig.usesAncestorConfig=false"
"""What lists of fields are filtered by."""
DATABASE: dict[str, Field] = {
    "--location": ("locationId", str),
    "--type": ("type", lambda text: text.upper().replace("-", "_")),
    "--edition": ("databaseEdition", str.upper),
}
SWITCHES = {
    "--delete-protection": ("deleteProtectionState", "DELETE_PROTECTION"),
    "--enable-pitr": ("pointInTimeRecoveryEnablement", "POINT_IN_TIME_RECOVERY"),
}


def database_of(call: Call) -> str:
    """Return the full name of the database that is meant."""
    return f"projects/{call.project}/databases/{call.flag('--database', '(default)')}"


@command("firestore databases create", "--database", *SWITCHES, *DATABASE)
def create(call: Call) -> Any:
    """Make a database."""
    body, _ = call.body(DATABASE)
    body |= _switched(call)
    locations.check("firestore databases create", call.flag("--location"))
    parent, _, name = database_of(call).rpartition("/")
    return call.cloud.post(f"/v1/{parent}", {"type": "FIRESTORE_NATIVE", **body}, databaseId=name)


@command("firestore databases update", "--database", "--type", *SWITCHES)
def update(call: Call) -> Any:
    """Change what the flags name."""
    body, mask = call.body({"--type": DATABASE["--type"]})
    body |= (switched := _switched(call))
    path, mask = f"/v1/{database_of(call)}", [*mask, *switched]
    operation = call.cloud.patch(path, body, updateMask=",".join(mask))
    name = call.flag("--database")
    say(f"Request issued for: [{name}]\nUpdated database [{name}].")
    return operation


@command("firestore databases delete", "--database", "--etag", is_quiet=True)
def delete(call: Call) -> Any:
    """Remove a database with its policies and exemptions."""
    return call.cloud.delete(f"/v1/{database_of(call)}")


@command("firestore databases describe", "--database")
def describe(call: Call) -> Any:
    """Describe one database."""
    return call.cloud.get(f"/v1/{database_of(call)}")


@command("firestore databases list")
def list_databases(call: Call) -> Any:
    """List all databases."""
    return call.cloud.get(f"/v1/projects/{call.project}/databases").get("databases", [])


@command(
    "firestore fields ttls update",
    *("--collection-group", "--database", "--enable-ttl", "--disable-ttl", "--async"),
)
def update_ttl(call: Call) -> Any:
    """Let documents go at the time in this field, or no longer."""
    body: dict[str, Any] = {"ttlConfig": {}} if call.switch("--enable-ttl") else {}
    return _changed(call, body, "ttlConfig")


@command("firestore fields ttls list", "--collection-group", "--database", "--limit")
def list_ttls(call: Call) -> Any:
    """List the fields with a TTL policy."""
    shown = ("name", "ttlConfig")
    return [{key: field[key] for key in shown} for field in _fields(call, TTLS)]


@command(
    "firestore indexes fields update",
    *("--collection-group", "--database", "--disable-indexes", "--clear-exemption", "--async"),
)
def update_index(call: Call) -> Any:
    """Take a field's automatic indexes away, or bring them back."""
    body: dict[str, Any] = (
        {"indexConfig": {"indexes": []}} if call.switch("--disable-indexes") else {}
    )
    return _changed(call, body, "indexConfig")


@command("firestore indexes fields list", "--collection-group", "--database", "--limit")
def list_exemptions(call: Call) -> Any:
    """List the fields whose indexes are not the automatic ones."""
    return _fields(call, EXEMPTIONS)


@command("firestore indexes fields describe", "--collection-group", "--database")
def describe_field(call: Call) -> Any:
    """Describe the indexes of one field."""
    return call.cloud.get(f"/v1/{_field(call)}")


@command("firestore indexes composite list", "--database", "--limit")
def list_indexes(call: Call) -> Any:
    """List the indexes that were made: every query runs without."""
    return call.cloud.get(f"/v1/{database_of(call)}/collectionGroups/-/indexes").get("indexes", [])


@command("firestore operations list", "--database", "--limit")
def list_operations(call: Call) -> Any:
    """List what was changed in a database."""
    found = call.cloud.each(f"/v1/{database_of(call)}/operations", "operations")
    return call.limited(list(found))


def _switched(call: Call) -> dict[str, str]:
    """Return the fields that the flags without a value set."""
    return {
        field: f"{word}_{'ENABLED' if call.switch(flag) else 'DISABLED'}"
        for flag, (field, word) in SWITCHES.items()
        if call.given(flag)
    }


def _changed(call: Call, body: dict[str, Any], mask: str) -> Any:
    """Return the operation with `--async`, else the field."""
    operation = call.cloud.patch(f"/v1/{_field(call)}", body, updateMask=mask)
    lines = [f"Request issued for: [{call.name}]", f"Updated field [{call.name}]."]
    if call.switch("--async"):
        lines[1:1] = [f"Check operation [{operation['name']}] for status."]
    say("\n".join(lines))
    field = {key: value for key, value in outcome(operation).items() if key != "@type"}
    return operation if call.switch("--async") else field


def _field(call: Call) -> str:
    group = call.flag("--collection-group")
    return f"{database_of(call)}/collectionGroups/{group}/fields/{call.name}"


def _fields(call: Call, wanted: str) -> list[Any]:
    group = call.flag("--collection-group", "-")
    path = f"/v1/{database_of(call)}/collectionGroups/{group}/fields"
    return call.limited(list(call.cloud.each(path, "fields", filter=wanted)))

"""`gcloud firestore …`: databases, TTL policies and index exemptions."""

from typing import Any

from local.gcloud.command import Call, Field, command, outcome

FIELDS = "/local/v1/resources/fields"
INDEXES = "/local/v1/resources/indexes"
DATABASE: dict[str, Field] = {
    "--location": ("locationId", str),
    "--type": ("type", lambda text: text.upper().replace("-", "_")),
}


def database_of(call: Call) -> str:
    """The full name of the database that is meant."""
    return f"projects/{call.project}/databases/{call.flag('--database', '(default)')}"


@command("firestore databases create", "--database", "--delete-protection", *DATABASE)
def create(call: Call) -> Any:
    """Make a database."""
    body, _ = call.body(DATABASE)
    if call.switch("--delete-protection"):
        body["deleteProtectionState"] = "DELETE_PROTECTION_ENABLED"
    parent, _, name = database_of(call).rpartition("/")
    return outcome(call.cloud.post(f"/v1/{parent}", body, databaseId=name))


@command("firestore databases describe", "--database")
def describe(call: Call) -> Any:
    """One database."""
    return call.cloud.get(f"/v1/{database_of(call)}")


@command("firestore databases list")
def list_databases(call: Call) -> Any:
    """All databases."""
    return call.cloud.get(f"/v1/projects/{call.project}/databases").get("databases", [])


@command(
    "firestore fields ttls update",
    *("--collection-group", "--database", "--enable-ttl", "--disable-ttl", "--async"),
)
def update_ttl(call: Call) -> Any:
    """Documents go at the time in this field, or no longer do."""
    body: dict[str, Any] = {"ttlConfig": {}} if call.switch("--enable-ttl") else {}
    return outcome(call.cloud.patch(f"/v1/{_field(call)}", body, updateMask="ttlConfig"))


@command("firestore fields ttls list", "--collection-group", "--database")
def list_ttls(call: Call) -> Any:
    """The fields with a TTL policy."""
    return _fields(call, "ttlConfig")


@command(
    "firestore indexes fields update",
    *("--collection-group", "--database", "--disable-indexes", "--clear-exemption", "--async"),
)
def update_index(call: Call) -> Any:
    """A field loses its automatic indexes, or has them again."""
    body: dict[str, Any] = (
        {"indexConfig": {"indexes": []}} if call.switch("--disable-indexes") else {}
    )
    return outcome(call.cloud.patch(f"/v1/{_field(call)}", body, updateMask="indexConfig"))


@command("firestore indexes fields list", "--collection-group", "--database")
def list_exemptions(call: Call) -> Any:
    """The fields whose indexes are not the automatic ones."""
    return _fields(call, "indexConfig")


def _field(call: Call) -> str:
    group = call.flag("--collection-group")
    return f"{database_of(call)}/collectionGroups/{group}/fields/{call.name}"


def _fields(call: Call, config: str) -> list[Any]:
    prefix = f"{database_of(call)}/collectionGroups/{call.flag('--collection-group')}"
    found = call.cloud.get(FIELDS)["resources"].items()
    return [field for name, field in found if name.startswith(prefix) and config in field]

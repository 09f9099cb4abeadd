"""Documents that go at a time of their own, by a field that no index is kept of.

Each of these calls starts an operation that takes minutes in a real project; nothing waits for it.
"""

from collections.abc import Iterator

from deployment.gcloud.calls import Command, command
from deployment.plan.changes import CREATE, Change
from deployment.plan.deployment import Deployment


def plan(it: Deployment) -> list[Change]:
    """The rules that are missing."""
    return list(_plan(it))


def _plan(it: Deployment) -> Iterator[Change]:
    database = f"--database={it.target.environment.database}"
    ttls, exempt = it.world.each(lambda words: _names(it, *words), (_TTLS, _INDEXES))
    for collection, field in it.target.bundle.expiring.items():
        path = f"collectionGroups/{collection}/fields/{field}"
        where = (f"--collection-group={collection}", database, "--async")
        if path not in ttls:
            make = command("firestore", "fields", "ttls", "update", field, "--enable-ttl", *where)
            yield _change("expiry", collection, make)
        if path not in exempt:
            update = ("firestore", "indexes", "fields", "update", field, "--disable-indexes")
            yield _change(f"no index on {field}", collection, command(*update, *where))


_TTLS = ("firestore", "fields", "ttls", "list")
_INDEXES = ("firestore", "indexes", "fields", "list")


def _names(it: Deployment, *words: str) -> set[str]:
    """The fields of the list, from the collection on; none while the database is not there."""
    database = it.target.environment.database
    if database not in it.world.databases:
        return set()
    found = it.world.listed(*words, f"--database={database}")
    return {field["name"].partition(f"/databases/{database}/")[2] for field in found}


def _change(what: str, collection: str, make: Command) -> Change:
    return Change(
        sign=CREATE,
        kind=what,
        name=f"of {collection}",
        commands=(make,),
        after=f"fields of {collection}",
    )

"""The Firestore database: made with delete protection, never removed but by `destroy --purge`."""

from deployment.gcloud.calls import command
from deployment.kinds import accounts
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, Difference
from deployment.plan.deployment import Deployment

PROTECTED = "DELETE_PROTECTION_ENABLED"
NATIVE = "FIRESTORE_NATIVE"


def plan(it: Deployment) -> list[Change]:
    """The database, if it is not there, or is not protected."""
    environment = it.target.environment
    name, flag = environment.database, f"--database={environment.database}"
    found = it.world.databases.get(name)
    if found is None:
        location = f"--location={environment.database_location or environment.region}"
        flags = (flag, location, "--type=firestore-native", "--delete-protection")
        make = command("firestore", "databases", "create", *flags)
        return [
            Change(sign=CREATE, kind="database", name=name, commands=(make,), grants="database")
        ]
    if found.get("type", NATIVE) != NATIVE:
        it.refuse(
            f"database {name} is {found['type']}, but must be {NATIVE}: give the environment "
            f"another `database`"
        )
        return []
    if accounts.noted_database(it) != name and f"database/{name}" not in it.options.adopt:
        it.refuse(
            f"database {name} exists, and is not of this bundle; ids and rules of expiry are "
            f"shared in it; --adopt database/{name} would make it so"
        )
        return []
    if found.get("deleteProtectionState", PROTECTED) == PROTECTED:
        return []
    protect = command("firestore", "databases", "update", flag, "--delete-protection")
    change = Difference(name="delete protection", found="no", wanted="yes")
    return [
        Change(sign=CHANGE, kind="database", name=name, commands=(protect,), differences=(change,))
    ]


def leave(it: Deployment) -> list[Change]:
    """The database with all its documents, if we made it; else the documents of our collections."""
    name = it.target.environment.database
    if name not in it.world.databases or accounts.noted_database(it) != name:
        return []
    flag = f"--database={name}"
    if not accounts.database_note(it).endswith(accounts.ADOPTED):
        unprotect = command("firestore", "databases", "update", flag, "--no-delete-protection")
        delete = command("firestore", "databases", "delete", flag)
        return [Change(sign=REMOVE, kind="database", name=name, commands=(unprotect, delete))]
    collections = ",".join(sorted(it.target.bundle.expiring))
    delete = command("firestore", "bulk-delete", flag, f"--collection-ids={collections}")
    return [Change(sign=REMOVE, kind="documents", name=f"of {collections}", commands=(delete,))]

"""Service accounts, and the notes that are kept in their descriptions.

`functions-builder` notes the database and what `pause` stopped, `tasks-caller` the names of our
queues: before the first of them is made, so that an interrupted run can go on. A `destroy` that
leaves the queues leaves `tasks-caller`, which then notes the database too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from deployment.gcloud.calls import Command, command
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.ownership import LONGEST, Mark, described, notes_of
from deployment.table.target import BUILDS, CALLS_TASKS, PURPOSES

DATABASE, QUEUES, PAUSED, SINCE, ENDPOINT = "database", "queues", "paused", "since", "endpoint"
LEFT = "left"
"""The database that a `destroy` has left."""
ADOPTED = " adopted"
"""Behind the name of a database that we did not make."""


def notes(it: Deployment, account: str) -> dict[str, str]:
    """What one of our accounts has noted; empty while it is not there, or is not ours."""
    text = it.world.accounts.get(it.target.email(account), {}).get("description")
    return notes_of(text) if ownership.of_text(text) == it.target.mark else {}


def noted_queues(it: Deployment) -> list[str]:
    """The queues that are noted as ours."""
    return [name for name in notes(it, CALLS_TASKS).get(QUEUES, "").split(",") if name]


def noted_database(it: Deployment) -> str:
    """The database that is noted as ours, made or adopted, also after a `destroy` that left it."""
    return database_note(it).removesuffix(ADOPTED)


def database_note(it: Deployment) -> str:
    """The same with `ADOPTED` behind it, where we did not make it."""
    return notes(it, BUILDS).get(DATABASE) or notes(it, CALLS_TASKS).get(LEFT, "")


def is_paused(it: Deployment) -> str:
    """Who stopped this environment and when; empty: nobody."""
    return notes(it, BUILDS).get(PAUSED, "")


def emails(it: Deployment) -> set[str]:
    """The members that are our accounts."""
    return {f"serviceAccount:{it.target.email(name)}" for name in it.target.accounts}


def plan(it: Deployment) -> list[Change]:
    """Accounts that are not there, or do not say what they should."""
    _check_place(it)
    _check_database(it)
    if paused := is_paused(it):
        it.note(f"paused since {paused}; ./deploy.sh resume sets it going again")
    changes = [_account(it, name) for name in it.target.accounts]
    return [*filter(None, changes), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours, but the one that notes the queues while one of them is still there."""
    kept = {it.target.email(CALLS_TASKS)} if _has_queues(it) else set()
    return [_remove(it, email) for email in _ours(it) if email not in kept]


def keep(it: Deployment) -> list[Change]:
    """A note of the database in the account that stays, so that the next `apply` knows it again."""
    note, name = notes(it, BUILDS).get(DATABASE, ""), it.target.name(CALLS_TASKS)
    known = notes(it, CALLS_TASKS).get(LEFT, "")
    if not note or note == known or not remembers(it):
        return []
    change = describe(it, CALLS_TASKS, {LEFT: note})
    found = differences({LEFT: known}, {LEFT: note})
    return [Change(sign=CHANGE, kind="account", name=name, commands=(change,), differences=found)]


def remembers(it: Deployment) -> bool:
    """Whether a `destroy` that leaves the database leaves a note of it too."""
    note = database_note(it)
    text = described(it.target.mark, PURPOSES[CALLS_TASKS], {**notes(it, CALLS_TASKS), LEFT: note})
    return bool(note) and _has_queues(it) and len(text.encode()) <= LONGEST


def _has_queues(it: Deployment) -> bool:
    return bool(set(noted_queues(it)) & set(it.world.queues))


def describe(it: Deployment, account: str, change: Mapping[str, str]) -> Command:
    """The call that changes the notes of an account."""
    text = described(it.target.mark, it.target.accounts[account], {**notes(it, account), **change})
    return command(
        "iam", "service-accounts", "update", it.target.email(account), f"--description={text}"
    )


def _account(it: Deployment, account: str) -> Change | None:
    name, email = it.target.name(account), it.target.email(account)
    found = it.world.accounts.get(email)
    text = described(it.target.mark, it.target.accounts[account], _wanted(it, account))
    if len(text.encode()) > LONGEST:
        it.refuse(f"account {name}: its description would be longer than {LONGEST} bytes: {text}")
    if found is None:
        flags = (f"--display-name={it.target.bundle.head.name}: {account}", f"--description={text}")
        make = command("iam", "service-accounts", "create", name, *flags)
        return Change(sign=CREATE, kind="account", name=name, commands=(make,), grants="account")
    mark = ownership.of_text(found.get("description"))
    if not it.may_change("account", name, mark) or found.get("description") == text:
        return None
    change = command("iam", "service-accounts", "update", email, f"--description={text}")
    return Change(
        sign=CHANGE,
        kind="account",
        name=name,
        commands=(change,),
        differences=differences(found, {"description": text}),
    )


def _wanted(it: Deployment, account: str) -> dict[str, str]:
    """What an account is to note."""
    known = notes(it, account)
    if account == CALLS_TASKS:
        names = {*noted_queues(it), *map(it.target.name, it.target.bundle.queues)}
        return {**known, QUEUES: ",".join(sorted(names))}
    if account == BUILDS:
        since = {SINCE: f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"} if not known else {}
        return {DATABASE: _database_note(it), **since, **known}
    return known


def _database_note(it: Deployment) -> str:
    database = it.target.environment.database
    if noted_database(it) == database:
        return database_note(it)
    return database + (ADOPTED if database in it.world.databases else "")


def _check_place(it: Deployment) -> None:
    """An environment does not move: what it made elsewhere would stay there for ever."""
    mine = it.target.mark
    for email, found in it.world.accounts.items():
        mark, name = ownership.of_text(found.get("description")), email.partition("@")[0]
        if not name.endswith(BUILDS) or not mark or (mark, name) == (mine, it.target.name(BUILDS)):
            continue
        if (mark.bundle, mark.environment) == (mine.bundle, mine.environment):
            prefix = name.removesuffix(BUILDS)
            it.refuse(
                f"environment {mine.environment} is deployed in {mark.region} with the prefix "
                f"{prefix!r}, and cannot be moved to {mine.region} with {it.target.name('')!r}: "
                f"destroy it as it was, or give the new one another name in functions/bundle.toml"
            )


def _check_database(it: Deployment) -> None:
    """An environment keeps its database, and shares it with no other one."""
    database = it.target.environment.database
    noted = notes(it, BUILDS).get(DATABASE, "").removesuffix(ADOPTED)
    if noted and noted != database:
        it.refuse(
            f"environment {it.target.environment.name} has its records in the database {noted}, "
            f"and would forget them with {database}: destroy it first, or name a new environment"
        )
    for found in it.world.accounts.values():
        mark = ownership.of_text(found.get("description"))
        other = notes_of(found.get("description")).get(DATABASE, "").removesuffix(ADOPTED)
        if mark and other == database and _is_another(mark, it.target.mark):
            it.refuse(f"database {database} is that of {mark}: ids and expiry are shared in it")


def _is_another(mark: Mark, mine: Mark) -> bool:
    return (mark.bundle, mark.environment) != (mine.bundle, mine.environment)


def _ours(it: Deployment) -> list[str]:
    return [
        email
        for email, found in it.world.accounts.items()
        if ownership.of_text(found.get("description")) == it.target.mark
    ]


def _removed(it: Deployment) -> list[Change]:
    wanted = {it.target.email(name) for name in it.target.accounts}
    return [_remove(it, email) for email in _ours(it) if email not in wanted]


def _remove(it: Deployment, email: str) -> Change:
    """With its roles on the project, which would stay as those of a deleted account."""
    member, project = f"serviceAccount:{email}", it.target.project
    roles = it.world.policy("projects", "get-iam-policy", project)
    words = ("projects", "remove-iam-policy-binding", project, f"--member={member}")
    taken = [
        command(*words, f"--role={role}", "--condition=None")
        for role, members in sorted(roles.items())
        if member in members
    ]
    delete = command("iam", "service-accounts", "delete", email)
    return Change(
        sign=REMOVE,
        kind="account",
        name=email.partition("@")[0],
        commands=(*taken, delete),
        after="project",
    )

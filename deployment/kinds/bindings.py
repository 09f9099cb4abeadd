"""Who may do what on what: read, granted, taken back. One place is changed by one call at a time.

Nothing but our own accounts and Pub/Sub's agent is ever granted anything. A role of ours that no
row names is only shown, and taken away with `--mend roles`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deployment.gcloud.calls import Command, command
from deployment.kinds import accounts, services
from deployment.plan.changes import CREATE, REMOVE, Change
from deployment.plan.deployment import Deployment

AGENT = "@gcp-sa-pubsub."
"""In the address of Pub/Sub's own account, which is made first if it is not there."""
ROLES = "roles"
"""The word for `--mend`."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a policy is of."""

    kind: str
    name: str
    words: tuple[str, ...]
    """The group of gcloud's commands."""
    flags: tuple[str, ...] = ()
    conditions: bool = False
    """Whether gcloud wants to hear that there is none."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One role for one member, like `serviceAccount:…`."""

    role: str
    member: str


def project(it: Deployment) -> Place:
    """The project."""
    name = it.target.project
    return Place(kind="project", name=name, words=("projects",), conditions=True)


def account(it: Deployment, name: str) -> Place:
    """An account of ours."""
    words = ("iam", "service-accounts")
    return Place(kind="account", name=it.target.email(name), words=words, conditions=True)


def topic(name: str) -> Place:
    """A topic."""
    return Place(kind="topic", name=name, words=("pubsub", "topics"))


def subscription(name: str) -> Place:
    """A subscription."""
    return Place(kind="subscription", name=name, words=("pubsub", "subscriptions"))


def queue(it: Deployment, name: str) -> Place:
    """A queue."""
    flags = (f"--location={it.target.region}",)
    return Place(kind="queue", name=name, words=("tasks", "queues"), flags=flags)


def service(it: Deployment, name: str) -> Place:
    """The Cloud Run service of a function."""
    flags = (f"--region={it.target.region}",)
    return Place(kind="function", name=name, words=("run", "services"), flags=flags)


def repository(it: Deployment, name: str) -> Place:
    """An artifact repository."""
    flags = (f"--location={it.target.region}",)
    return Place(kind="repository", name=name, words=("artifacts", "repositories"), flags=flags)


def secret(name: str) -> Place:
    """A secret."""
    return Place(kind="secret", name=name, words=("secrets",), conditions=True)


def ours(it: Deployment, account: str, role: str) -> Grant:
    """A role for an account of ours."""
    return Grant(role=role, member=f"serviceAccount:{it.target.email(account)}")


def agents(it: Deployment, role: str) -> Grant:
    """A role for Pub/Sub's own account in this project."""
    return Grant(role=role, member=f"serviceAccount:{it.target.agent(it.world.number)}")


def policy(it: Deployment, place: Place) -> dict[str, set[str]]:
    """Role → members."""
    return it.world.policy(*place.words, "get-iam-policy", place.name, *place.flags)


def plan(
    it: Deployment, place: Place, wanted: Iterable[Grant], *, exists: bool = True
) -> list[Change]:
    """What is to be granted on a place, and, where that is asked for, taken back."""
    grants = list(dict.fromkeys(wanted))
    found = policy(it, place) if exists else {}
    missing = [it_ for it_ in grants if it_.member not in found.get(it_.role, ())]
    changes = [_change(place, CREATE, grant) for grant in missing]
    for extra in _extra(it, found, grants):
        if ROLES in it.options.mend:
            changes.append(_change(place, REMOVE, extra))
        else:
            it.note(
                f"{_name(extra.member)} has {extra.role} on {place.kind} {place.name}, which no "
                f"row names; --mend roles takes it away"
            )
    return changes


def leave(it: Deployment, place: Place) -> list[Change]:
    """All that our accounts may do there."""
    return [_change(place, REMOVE, extra) for extra in _extra(it, policy(it, place), [])]


def taken_back(place: Place, grant: Grant) -> Change:
    """The change that takes a grant back."""
    return _change(place, REMOVE, grant)


def _extra(it: Deployment, found: dict[str, set[str]], grants: list[Grant]) -> list[Grant]:
    mine = accounts.emails(it)
    every = [
        Grant(role=role, member=member)
        for role, members in sorted(found.items())
        for member in sorted(members & mine)
    ]
    return [grant for grant in every if grant not in grants]


def _change(place: Place, sign: str, grant: Grant) -> Change:
    words = {CREATE: "may", REMOVE: "may no longer"}
    role = grant.role.removeprefix("roles/")
    where = f"{place.kind} {_name(place.name)}"
    is_agent = sign == CREATE and AGENT in grant.member
    return Change(
        sign=sign,
        kind="grant",
        name=f"{_name(grant.member)} {words[sign]} {role} on {where}",
        commands=(*((services.agent("pubsub"),) if is_agent else ()), _command(place, sign, grant)),
        after=f"{place.kind} {place.name}",
        grants="grant" if sign == CREATE else "",
    )


def _command(place: Place, sign: str, grant: Grant) -> Command:
    verb = {CREATE: "add-iam-policy-binding", REMOVE: "remove-iam-policy-binding"}[sign]
    condition = ("--condition=None",) if place.conditions else ()
    member, role = f"--member={grant.member}", f"--role={grant.role}"
    return command(*place.words, verb, place.name, *place.flags, member, role, *condition)


def _name(member: str) -> str:
    """An account without its domain, where that is the project's."""
    name = member.rpartition(":")[2]
    short = name.partition("@")[0]
    return short if name.endswith(".iam.gserviceaccount.com") else name

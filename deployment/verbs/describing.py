"""`describe`: the environment as other programs read it. No secret's value is in it."""

from typing import Any

from deployment.gcloud.calls import Failed
from deployment.kinds import addresses, subscriptions, variables
from deployment.plan.deployment import Deployment
from deployment.verbs.applying import Work


def describe(work: Work) -> dict[str, Any]:
    """What is to be deployed, and, where gcloud says it, where it is."""
    target = work.target
    environment = target.environment
    return {
        "bundle": target.bundle.head.name,
        "environment": environment.name,
        "project": target.project,
        "region": target.region,
        "prefix": environment.prefix,
        "database": environment.database,
        "functions": _functions(work),
        "topics": [{"id": target.name(row)} for row in target.bundle.topics],
        "subscriptions": _subscriptions(work),
        "queues": [
            {"id": target.name(q.name), "calls": target.name(q.calls), "a_second": q.a_second}
            for q in target.bundle.queues.values()
        ],
        "schedules": [
            {"id": target.name(s.name), "campaign": s.campaign, "when": s.when, "zone": s.zone}
            for s in target.bundle.schedules.values()
        ],
        "accounts": {name: target.email(name) for name in target.accounts},
        "expiring": dict(target.bundle.expiring),
        "settings": dict(target.settings),
        "secrets": {name: target.name(name) for name in environment.secrets},
    }


def _functions(work: Work) -> list[dict[str, Any]]:
    it, target = work.deployment(), work.target
    there = _is_readable(it)
    return [
        {
            "id": target.name(row.name),
            "entry_point": row.name,
            "woken_by": row.woken_by,
            "account": target.email(target.runs_as(row.name)),
            "url": (addresses.answered(it, row.name) or None) if there else None,
            "variables": variables.of(it, row) if there else None,
        }
        for row in target.bundle.functions.values()
    ]


def _subscriptions(work: Work) -> list[dict[str, Any]]:
    it, target = work.deployment(), work.target
    there = _is_readable(it)
    return [
        {
            "id": (subscriptions.name_of(it, row) or None)
            if there or not row.is_eventarcs
            else None,
            "row": row.name,
            "topic": target.name(row.topic),
            "calls": target.name(row.calls),
        }
        for row in target.bundle.subscriptions.values()
    ]


def _is_readable(it: Deployment) -> bool:
    """Whether gcloud says what is there: whoever asks may not be logged in."""
    try:
        return bool(it.world.number and it.world.functions is not None)
    except Failed:
        return False

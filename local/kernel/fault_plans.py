"""Fault plans as JSON documents, and whether they can be carried out here."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from local.kernel.faults import Plan, Rule
from local.kernel.foreign import NAMES

CALLS = ("errors", "lost_replies", "latency", "crashes")
"""What needs the calls of the functions to pass through here."""
DELIVERIES = ("duplicates", "reorder", "drops", "lost_acks", "crashes")
"""What needs the deliveries to be made from here."""
SERVICES = {
    "firestore": ("Firestore",),
    "pubsub": ("Publisher", "Subscriber"),
    "tasks": ("CloudTasks",),
}


def plan(document: Mapping[str, Any]) -> Plan:
    """Return the plan that a document describes (`{}`: nothing goes wrong); raises ValueError."""
    rules = tuple(_made(Rule, rule) for rule in document.get("rules", ()))
    made: Plan = _made(Plan, {**document, "rules": rules})
    return made


def document(plan: Plan) -> dict[str, Any]:
    """Return a plan as a document, without the values that change nothing."""
    harmless = asdict(Plan())
    return {key: value for key, value in asdict(plan).items() if value != harmless[key]}


def check(plan: Plan, foreign: Mapping[str, str]) -> None:
    """Refuse, by name, rules for no service, and what would need one of a foreign server."""
    for rule in plan.rules:
        if not any(_concerns(rule, service) for service in SERVICES):
            known = ", ".join(name for names in SERVICES.values() for name in names)
            raise ValueError(f"a rule for {rule.service}: the services are {known}")
    for service, address in foreign.items():
        affected = CALLS if service == "firestore" else (*CALLS, *DELIVERIES)
        wanted = [name.replace("_", "-") for name in affected if getattr(plan, name)]
        wanted += [f"a rule for {r.service}" for r in plan.rules if _concerns(r, service)]
        if wanted:
            raise ValueError(
                f"{', '.join(dict.fromkeys(wanted))}: not possible while "
                f"{NAMES[service]} is served by {address}, which this cloud cannot disturb"
            )


def _concerns(rule: Rule, service: str) -> bool:
    return rule.service.rpartition(".")[2] in ("*", *SERVICES[service])


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    known: dict[str, Any] = {f.name: f.type for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{name} is not part of a fault {kind.__name__.lower()}")
        wanted: Any = {float: (int, float), int: int, str: str}.get(known[name], object)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ValueError(f"{name} cannot be {value!r}")
    return kind(**values)

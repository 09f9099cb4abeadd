"""Tables of declarations: what a function handles, by name.

    from common.idempotency import Outcome, Work
    from common.process.tables import table
    from common.triggers.events import Event, event

    @event("appointment.booked", fields={"at": str})
    def appointment_booked(booked: Event, work: Work) -> Outcome:
        return Outcome(result="noted")

    EVENTS = table(appointment_booked)

A declaration takes effect where it is listed; importing the module that makes one changes nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

from common.errors import ConfigurationError


class Declaration(Protocol):
    """An event, a reminder kind or a campaign: whatever is declared once and has a name."""

    @property
    def name(self) -> str:
        """Its literal name, unique in its table."""


D = TypeVar("D", bound=Declaration)
_tables: list[Mapping[str, Declaration]] = []


def table(*declarations: D) -> Mapping[str, D]:
    """The declarations by name. Raises ConfigurationError if two have the same name."""
    by_name: dict[str, D] = {}
    for each in declarations:
        if each.name in by_name:
            raise ConfigurationError(f"Two {_plural(each)} are named {each.name!r}.")
        by_name[each.name] = each
    _tables.append(by_name)
    return MappingProxyType(by_name)


def listed(kind: type[D]) -> list[D]:
    """The declarations of that kind in the tables of this process, in their order."""
    return [each for table in _tables for each in table.values() if isinstance(each, kind)]


def check_listed(declaration: Declaration) -> None:
    """Raises ConfigurationError if no table of this process lists the declaration.

    A process without a table of such declarations, as that of a unit test or of a web application,
    knows nothing of the functions' tables; there every declaration passes.
    """
    known = listed(type(declaration))
    if known and declaration not in known:
        names = ", ".join(sorted(each.name for each in known))
        raise ConfigurationError(
            f"{declaration.name!r} is in no table of {_plural(declaration)}; those have {names}."
        )


def _plural(declaration: Declaration) -> str:
    return f"{type(declaration).__name__} declarations"

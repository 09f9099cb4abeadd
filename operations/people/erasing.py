"""`erase USER`: a person is forgotten, and it is said what was found of them."""

import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict

from common.people import erasing
from common.people.personal_data import PersonalData
from common.process import tables
from operations.errors import OperationsError
from operations.place import cloud
from operations.place.environment import Place

LONGEST = erasing.LEASE
"""Seconds, where no function says how long it may hold a claim."""


def lease(place: Place) -> float:
    """Seconds until everybody who works on something now has ended, or has lost it."""
    variables = [function["variables"] or {} for function in place.described["functions"]]
    leases = [float(it["LEASE_SECONDS"]) for it in variables if "LEASE_SECONDS" in it]
    return max(leases, default=LONGEST)


def erase(
    place: Place, user_id: str, *, wait: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Erase a person; what was found of them. Raises OperationsError and TransientError.

    `wait` lets seconds pass; on a real project as many as the longest lease of a function has. The
    local cloud knows by itself when nobody is at work.
    """
    declared = tables.listed(PersonalData)
    if len(declared) != 1:
        raise OperationsError("the bundle does not declare what it keeps of a person")
    passing = wait or (_idle if place.is_local else time.sleep)
    report = erasing.erase(user_id, declared[0], pause=lease(place), wait=passing)
    return asdict(report)


def _idle(seconds: float) -> None:
    cloud.idle()

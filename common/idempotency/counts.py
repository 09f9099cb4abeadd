"""Counts of what is done, by what it is a part of: a campaign's run, for example."""

from typing import NamedTuple

from common.cloud import firestore
from common.idempotency.store import COLLECTION


class Parts(NamedTuple):
    """How much of something has ended, and how."""

    sent: int
    skipped: int
    dead: int
    """Given up, with a dead letter."""


def of_parts(part_of: str) -> Parts:
    """What has become of the work whose job says that it is a part of this.

    Costs one read for each thousand records. Raises TransientError.
    """

    def count(field: str, value: str) -> int:
        return firestore.count(COLLECTION, ("part_of", "==", part_of), (field, "==", value))

    # A record keeps its result as JSON text.
    return Parts(
        sent=count("result", '"sent"'),
        skipped=count("result", '"skipped"'),
        dead=count("state", "dead"),
    )

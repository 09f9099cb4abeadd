"""Who is pulling at the moment, and how much each has in hand."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

UNLIMITED = 2**62


@dataclass(eq=False)
class Pull:
    """One open Pull or StreamingPull. A limit of 0 or less: none."""

    subscription: int
    ack_deadline: int
    """Seconds a message is leased for."""
    max_messages: int = 0
    max_bytes: int = 0
    in_hand: dict[int, int] = field(default_factory=dict)
    """Bytes of each row that was sent and has not come back."""
    sending: bool = False
    """Its client has yet to read what was sent."""

    def room(self) -> int:
        """How many more messages it takes."""
        if self.sending or 0 < self.max_bytes <= sum(self.in_hand.values()):
            return 0
        return (self.max_messages if self.max_messages > 0 else UNLIMITED) - len(self.in_hand)


class Pulls:
    """The open pulls of all subscriptions."""

    def __init__(self) -> None:
        self._open: dict[int, list[Pull]] = defaultdict(list)

    def open(self, pull: Pull) -> None:
        """Add a pull that begins."""
        self._open[pull.subscription].append(pull)

    def close(self, pull: Pull) -> None:
        """Remove a pull that is over; the messages it has in hand stay leased."""
        self._open[pull.subscription].remove(pull)

    def waiting(self, subscription: int) -> bool:
        """Whether anybody would take a message now."""
        return any(pull.room() > 0 for pull in self._open[subscription])

    def returned(self, subscription: int, rows: Iterable[int]) -> None:
        """These rows were acknowledged, or will be delivered again."""
        for pull in self._open[subscription]:
            for row in rows:
                pull.in_hand.pop(row, None)

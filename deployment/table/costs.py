"""What a deployment costs while nothing happens, and how fast it sends: told by `plan`.

Prices are Google's list prices of 2026 in US dollars, in a region of the first tier, without what
is free.
"""

from collections.abc import Iterator

from deployment.table.bundle import Queue
from deployment.table.checks import asked
from deployment.table.target import Target

MONTH = 30.4 * 86_400
CPU_IDLE = 0.0000025
MEMORY_IDLE = 0.0000025
"""A second of an idle instance: for each vCPU, and for each GiB."""
SCHEDULE = 0.10
SECRET = 0.06
"""A month."""


def lines(target: Target) -> Iterator[str]:
    """What is told under a plan."""
    parts = list(_idle(target))
    total = sum(price for _, price in parts)
    shown = ", ".join(f"{what} ${price:.2f}" for what, price in parts if price)
    yield f"functions: at most {asked(target)} vCPU of the region's quota"
    yield f"idle: about ${total:.2f} a month ({shown or 'nothing runs'})"
    for row in {it.group: it for it in target.bundle.queues.values()}.values():
        rate = f"{row.a_second:g} a second, {row.at_once} at once"
        each = f"{row.count} queues {target.name(row.group)}-…, each" if row.count > 1 else ""
        name = each or f"queue {target.name(row.name)}:"
        yield f"{name} at most {rate}; a million tasks take {_million(row)}"


def _million(row: Queue) -> str:
    """How long a million tasks take at least, on all queues of a row together."""
    hours = 1_000_000 / (row.a_second * row.count) / 3600
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"


def idle(target: Target) -> float:
    """Dollars a month."""
    return sum(price for _, price in _idle(target))


def _idle(target: Target) -> Iterator[tuple[str, float]]:
    for row in target.bundle.functions.values():
        second = row.cpu * CPU_IDLE + _gibibytes(row.memory) * MEMORY_IDLE
        price = row.min_instances * second * MONTH
        yield f"{row.min_instances} warm {target.name(row.name)}", price
    yield f"{len(target.bundle.schedules)} schedules", SCHEDULE * len(target.bundle.schedules)
    count = len(target.environment.secrets)
    yield f"{count} secrets", SECRET * count


def _gibibytes(memory: str) -> float:
    number = float(memory.rstrip("GMi"))
    return number if "G" in memory else number / 1024

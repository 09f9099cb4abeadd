"""How often a second something can be done, and the table of what was found."""

import threading
import time
from collections.abc import Callable, Sequence

ROUNDS = 3
SECONDS = 0.7
"""Of one round. The best round counts: what else runs on the machine only slows it down."""

Call = Callable[[], object]


def compared(ours: Call, bare: Call, threads: int = 1) -> tuple[float, float, float]:
    """Calls a second, by so many threads together, and the ratio; the best of some short rounds.

    Rounds of both alternate, so that what else runs on the machine meets both.
    """
    ours(), bare()
    rounds = [(_round(ours, threads), _round(bare, threads)) for _ in range(ROUNDS)]
    found, baseline = map(max, zip(*rounds, strict=True))
    return found, baseline, found / baseline


def seconds(call: Call, times: int = 15) -> float:
    """How long one call takes; the best of so many."""
    return min(_timed(call) for _ in range(times))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print it: the first column to the left, the others to the right; numbers made short."""
    texts = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}")
    for first, *others in texts:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())


def _round(call: Call, threads: int) -> float:
    counts: list[int] = []

    def work() -> None:
        count = 0
        while time.monotonic() < end:
            call()
            count += 1
        counts.append(count)

    began = time.monotonic()
    end = began + SECONDS
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.monotonic() - began)


def _timed(call: Call) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _text(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"

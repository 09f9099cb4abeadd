"""Work that goes on by itself: whatever ends it is said, also where nobody waits for it."""

import asyncio
import traceback
from collections.abc import Coroutine
from typing import Any

from local.kernel.database import Full


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin work that nobody awaits; an exception that ends it is printed.

    A full disk ends it silently: the cloud says that once, and begins anew when there is room.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_said)
    return task


def _said(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Full):
        traceback.print_exception(error)

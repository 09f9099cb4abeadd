"""Which ports to listen on: chosen so that a URL means the same function after a restart."""

import asyncio
import random
import socket
from collections.abc import Container

PAUSE, GOING_AWAY = 0.02, 50
"""Seconds between looks, and how many looks, at a port that may be about to be let go."""
HOST = "127.0.0.1"
FREE_RANGE = range(20_000, 32_000)
"""Where free ports are taken from: below what systems hand out to clients (Linux from 32768 on),
so that nobody is given a port in the moment between its choice and its use."""


def is_free(port: int) -> bool:
    """Return whether a program could listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


async def freed(port: int) -> bool:
    """Return whether a program could listen on this port now, or in a second, when its holder
    ended."""
    for _ in range(GOING_AWAY):
        if is_free(port):
            return True
        await asyncio.sleep(PAUSE)
    return False


def choose(first: int, taken: Container[int] = ()) -> int:
    """Return the first free port from `first` on (0: any free port) that is not among `taken`."""
    candidates = range(first, 65_536) if first else _shuffled()
    return next(port for port in candidates if port not in taken and is_free(port))


def _shuffled() -> list[int]:
    return random.sample(FREE_RANGE, len(FREE_RANGE))

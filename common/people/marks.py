"""Marks of erased people: `erased/{HMAC}`, one of the user's id and one of each address.

A mark holds nothing that leads to a person; whoever brings an id or an address can ask whether it
is marked. It stays until a sign-up that was first published after the erasure lifts it.

    read: not marked ──▶ compute the writes ──▶ commit, provided that there still is no mark
                                 │
                         (marked meanwhile: the commit is refused, and nothing was written)

So nothing about an erased person is written any more, not even by a handler that had read before.

The key of the HMACs is a random one, made by the first erasure and kept beside the marks in
`erased/key`, so that whoever erases and whoever sends can never have different ones. It makes the
marks worthless outside of the database; who may read the database has no need of them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from common.cloud import firestore
from common.cloud.firestore import SERVER_TIMESTAMP, Absent, Create, Delete, Merge, Snapshot, Write
from common.errors import NothingToDoError, RefusedError

COLLECTION = "erased"
KEY = f"{COLLECTION}/key"
FORMAT = 1


class Found(Struct, frozen=True, kw_only=True):
    """What was found of some people, by one read."""

    marks: Sequence[Snapshot]
    """Their marks, whether there are such or not: of the users, then of the addresses. Before the
    first erasure there is only one for all of them: the document of the key, which is not there."""
    others: Sequence[Snapshot]
    """The other documents that were asked for."""

    @property
    def is_erased(self) -> bool:
        """Whether one of them is erased."""
        return any(mark.exists for mark in self.marks)

    def unless_erased(self) -> list[Write]:
        """What goes with every commit that writes about them: it is refused once one is erased.

        Raises NothingToDoError (`skipped`) if one is erased already.
        """
        if self.is_erased:
            raise NothingToDoError("skipped", "this user is erased")
        return [Absent(path=mark.path) for mark in self.marks]


def read(
    *, users: Sequence[str] = (), addresses: Sequence[str] = (), others: Sequence[str] = ()
) -> Found:
    """The marks of these users and addresses, and other documents by their paths, in one read.

    Raises TransientError.
    """
    global _known
    names = [*(f"user\0{it}" for it in users), *(f"address\0{normalised(it)}" for it in addresses)]
    while True:
        used = _known
        paths = [path_of(name, used) for name in dict.fromkeys(names)] if used else []
        key, *found = firestore.read_all([KEY, *paths, *others])
        _known = key.data.get("key")
        if _known is None:
            return Found(marks=[key], others=found[len(paths) :])
        if used == _known:
            return Found(marks=found[: len(paths)], others=found[len(paths) :])


def is_erased(user_id: str) -> bool:
    """Whether this user is erased. Raises TransientError."""
    return read(users=[user_id]).is_erased


def mark(user_id: str, addresses: Sequence[str]) -> int:
    """Mark a user and their addresses as erased, from now on; how many marks that are.

    Raises TransientError.
    """
    names = [f"user\0{user_id}", *(f"address\0{normalised(it)}" for it in addresses)]
    fields = {"format": FORMAT, "erased_at": SERVER_TIMESTAMP}
    key = _key()
    paths = [path_of(name, key) for name in dict.fromkeys(names)]
    firestore.commit([Merge(path=path, fields=fields) for path in paths])
    return len(paths)


def unless_erased(user_id: str) -> list[Write]:
    """What goes with every commit that writes about this user; raises what that of Found raises,
    and TransientError."""
    return read(users=[user_id]).unless_erased()


def lift(user_id: str, address: str, since: datetime | None) -> list[Write]:
    """What goes with the commit of a sign-up: the marks that it lifts.

    `since` is when the sign-up was first published; None: nobody knows, and it lifts nothing.
    Raises NothingToDoError (`skipped`) if the user was erased after that, and TransientError.
    """
    return [_lifted(it, since) for it in read(users=[user_id], addresses=[address]).marks]


def path_of(name: str, key: str) -> str:
    """Where the mark of a name is, under a key."""
    return f"{COLLECTION}/{hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest()}"


def normalised(address: str) -> str:
    """The address as a mark knows it: without the space around it, and in lower case.

    For comparing only: to whom `Ada@` goes is the server's to say.
    """
    return address.strip().casefold()


def _lifted(mark: Snapshot, since: datetime | None) -> Write:
    if mark.update_time is None:
        return Absent(path=mark.path)
    if since is None or since <= mark.update_time:
        raise NothingToDoError("skipped", "this user was erased after this sign-up")
    return Delete(path=mark.path, update_time=mark.update_time)


def _key() -> str:
    found = firestore.read(KEY)
    if not found.exists:
        try:
            fields = {"format": FORMAT, "key": secrets.token_hex(32)}
            firestore.commit([Create(path=KEY, fields=fields)])
        except RefusedError:
            pass  # somebody else has made one just now, or an earlier try of ours
        found = firestore.read(KEY)
    return str(found.data["key"])


_known: str | None = None
"""The key, as this process has read it last."""

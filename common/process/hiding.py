"""Values that hold a secret: whatever shows them leaves it out.

from common.process.hiding import Hidden, Hiding

class Provider(Hiding, frozen=True, kw_only=True):
    name: str
    key: Hidden[str]

assert repr(Provider(name="mail", key="s3cret")) == "Provider(name='mail')"
"""

from typing import Annotated, Any, TypeVar, get_args

from msgspec import Struct
from msgspec.structs import fields

T = TypeVar("T")
_MARK = "hidden"
Hidden = Annotated[T, _MARK]
"""The type of a field that is not shown, of a class that is `Hiding`."""


class Hiding(Struct, frozen=True):
    """A value that shows no field which is `Hidden`, as a Struct by itself would."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich and the tools that are built on it show."""
        shown = [each.name for each in fields(self) if not _is_hidden(each.type)]
        return [(name, getattr(self, name)) for name in shown]


def _is_hidden(type_: Any) -> bool:
    """Whether the type is marked, or a part of it: `Hidden[str] | None`."""
    return _MARK in getattr(type_, "__metadata__", ()) or any(map(_is_hidden, get_args(type_)))

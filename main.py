"""Entry points. The platform loads this one file and makes only its directory importable.

A process runs one function, and the framework asks for it by its name: that function is imported
then, and the others are not, so that an instance starts sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.consumer import consumer
    from functions.fanout import fanout
    from functions.reminder import reminder
    from functions.shop.documents import DOCUMENTS
    from functions.shop.personal_data import PERSONAL_DATA

__all__ = ["DOCUMENTS", "PERSONAL_DATA", "consumer", "fanout", "reminder"]
HOMES = {
    "DOCUMENTS": "functions.shop.documents",
    "PERSONAL_DATA": "functions.shop.personal_data",
    "consumer": "functions.consumer",
    "fanout": "functions.fanout",
    "reminder": "functions.reminder",
}
"""The module that has it."""


def __getattr__(name: str) -> object:
    """A function, or what is declared for operators, from its module.

    Raises AttributeError for what there is not, as a module does. The framework takes that for a
    function that does not exist, so that a mistake in the module's own text becomes an ImportError.
    """
    if name not in HOMES:
        raise AttributeError(f"main has no {name!r}, but {', '.join(HOMES)}")
    try:
        home = import_module(HOMES[name])
    except AttributeError as error:
        raise ImportError(f"{HOMES[name]} cannot be imported: {error}") from error
    return getattr(home, name)

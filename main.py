"""Entry points. The platform loads this one file and makes only its directory importable.

What the bundle declares of its documents, and as personal data, comes along for whoever looks for
something or erases a person: no function does.
"""

from functions.consumer import consumer
from functions.fanout import fanout
from functions.reminder import reminder
from functions.shop.documents import DOCUMENTS
from functions.shop.personal_data import PERSONAL_DATA

__all__ = ["DOCUMENTS", "PERSONAL_DATA", "consumer", "fanout", "reminder"]

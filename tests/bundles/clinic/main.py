"""Entry points. The platform loads this one file and makes only its directory importable."""

from functions.clinic.documents import DOCUMENTS

from functions.consumer import consumer
from functions.fanout import fanout
from functions.reminder import reminder

__all__ = ["DOCUMENTS", "consumer", "fanout", "reminder"]

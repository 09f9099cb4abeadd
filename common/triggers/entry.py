"""Entry points: what the platform calls. Declaring one prepares the process that runs a function.

A setting that is missing or malformed has ended such a process before, see
`common.process.settings.reader`; elsewhere, as in a test or a shell, nothing is prepared.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import functions_framework
from cloudevents.http import CloudEvent
from flask import Request

from common.cloud import firestore
from common.process import logs, settings, shutdown

if TYPE_CHECKING:  # a function of events starts without what checks callers
    from common.triggers.http import Reply

CloudEventFunction = Callable[[CloudEvent], None]
HttpFunction = Callable[[Request], "Reply"]


def cloud_event(function: CloudEventFunction) -> CloudEventFunction:
    """Declare a function that events trigger; the platform finds it by its name."""
    _prepare()
    declared: CloudEventFunction = functions_framework.cloud_event(function)
    return declared


def http(function: HttpFunction) -> HttpFunction:
    """Declare a function that is called over HTTP; the platform finds it by its name."""
    _prepare()
    declared: HttpFunction = functions_framework.http(function)
    return declared


@functools.cache
def _prepare() -> None:
    if settings.is_function():
        logs.install()
        shutdown.prepare()
        firestore.prepare()

"""Entry points: what the platform calls. Declaring one prepares the process, once.

A setting that is missing or malformed ends the process there, at the start, and not at the first
request; the sentence that says which one is all it prints.
"""

import functools
import sys
from collections.abc import Callable

import functions_framework
from cloudevents.http import CloudEvent
from flask import Request

from common.errors import ConfigurationError
from common.process import logs, settings, shutdown
from common.triggers.http import Reply

CloudEventFunction = Callable[[CloudEvent], None]
HttpFunction = Callable[[Request], Reply]


def cloud_event(function: CloudEventFunction) -> CloudEventFunction:
    """Declare a function that events trigger. Raises SystemExit for a wrong setting."""
    _prepare()
    declared: CloudEventFunction = functions_framework.cloud_event(function)
    return declared


def http(function: HttpFunction) -> HttpFunction:
    """Declare a function that is called over HTTP. Raises SystemExit for a wrong setting."""
    _prepare()
    declared: HttpFunction = functions_framework.http(function)
    return declared


@functools.cache
def _prepare() -> None:
    try:
        settings.current()
    except ConfigurationError as error:
        sys.exit(str(error))
    logs.install()
    shutdown.prepare()

"""Entry points: what the platform calls. Declaring one prepares the process, once.

A setting that is missing or malformed fails there, at the start, and not at the first request.
"""

import functools
from collections.abc import Callable

import functions_framework
from cloudevents.http import CloudEvent
from flask import Request

from common import logs, settings, shutdown
from common.web import Reply

CloudEventFunction = Callable[[CloudEvent], None]
HttpFunction = Callable[[Request], Reply]


def cloud_event(function: CloudEventFunction) -> CloudEventFunction:
    """Declare a function that events trigger. Raises ConfigurationError."""
    _prepare()
    declared: CloudEventFunction = functions_framework.cloud_event(function)
    return declared


def http(function: HttpFunction) -> HttpFunction:
    """Declare a function that is called over HTTP. Raises ConfigurationError."""
    _prepare()
    declared: HttpFunction = functions_framework.http(function)
    return declared


@functools.cache
def _prepare() -> None:
    settings.current()
    logs.install()
    shutdown.prepare()

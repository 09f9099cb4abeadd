"""Update masks of a queue: which of its settings a call replaces, down to a single leaf."""

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf import field_mask_pb2

from local.kernel.refusals import invalid
from local.services.tasks import messages as m

_SETTINGS = (
    "app_engine_routing_override",
    "http_target",
    "rate_limits",
    "retry_config",
    "stackdriver_logging_config",
)
_IGNORED = ("name", "rate_limits.max_burst_size")


def merged(config: Any, given: Any, paths: Iterable[str]) -> Any:
    """A queue's configuration with what the mask names taken from the given one.

    No paths: everything. What is named and not given is cleared, so that it gets its default.
    """
    changed = m.Queue()
    changed.CopyFrom(config)
    source = m.Queue()
    source.CopyFrom(given)
    named = _checked(paths)
    mask = field_mask_pb2.FieldMask(paths=[p for p in named or _SETTINGS if p not in _IGNORED])
    for path in mask.paths:
        # A message that is not given is cleared leaf by leaf, not skipped.
        if "." in path:
            getattr(source, path.partition(".")[0]).SetInParent()
    mask.MergeMessage(source, changed, replace_message_field=True, replace_repeated_field=True)
    return changed


def _checked(paths: Iterable[str]) -> list[str]:
    named = [re.sub("[A-Z]", lambda c: "_" + c[0].lower(), path) for path in paths]
    for path in named:
        known = field_mask_pb2.FieldMask(paths=[path]).IsValidForDescriptor(m.Queue.DESCRIPTOR)
        if not known or not path.startswith((*_SETTINGS, "name")):
            raise invalid(f"Invalid value for update_mask: {path} cannot be updated.")
    return named

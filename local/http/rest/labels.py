"""Labels as Google's APIs take them, and the filters that ask for them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.kernel.merging import camel
from local.kernel.refusals import invalid

KEY = re.compile(r"[^\W\dA-Z_][^\WA-Z]{0,62}|[^\W\dA-Z_](?:[^\WA-Z]|-){0,62}")
VALUE = re.compile(r"(?:[^\WA-Z]|-){0,63}")
MOST = 64
CONDITION = re.compile(r"""(labels|user_labels|userLabels)\.([\w-]+)\s*[=:]\s*"?([^"\s]*)"?""")


def check(labels: Mapping[str, Any]) -> None:
    """Refuse what the APIs refuse; raises INVALID_ARGUMENT."""
    if len(labels) > MOST:
        raise invalid(f"There are {len(labels)} labels, but {MOST} at most are allowed.")
    for key, value in labels.items():
        if not KEY.fullmatch(key):
            raise invalid(f"Label key {key!r} is not valid.")
        if not isinstance(value, str) or not VALUE.fullmatch(value):
            raise invalid(f"Label value {value!r} of {key!r} is not valid.")


def matching(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a resource fits `labels.a=b AND labels.c=d`; empty: each does."""
    conditions = [part.strip() for part in re.split(r"\s+AND\s+", text.strip()) if part.strip()]
    matches = [CONDITION.fullmatch(condition) for condition in conditions]
    if not all(matches):
        raise invalid(f"The local cloud cannot filter by {text!r}, only by labels.")
    wanted = [(camel(match[1]), match[2], match[3]) for match in matches if match]

    def fits(resource: Mapping[str, Any]) -> bool:
        return all(resource.get(kind, {}).get(key) == value for kind, key, value in wanted)

    return fits

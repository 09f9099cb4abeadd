"""What an update mask takes from a request."""

from collections.abc import Container, Sequence
from typing import Any

from local.kernel.refusals import invalid


def merged(current: Any, change: Any, paths: Sequence[str], immutable: Container[str]) -> Any:
    """`current` with the fields `paths` name taken from `change`; whole fields only."""
    kind = current.DESCRIPTOR.name
    if not paths:
        raise invalid(
            f"The update_mask in the Update{kind}Request must be set, and must contain a "
            "non-empty paths list."
        )
    result = type(current)()
    result.CopyFrom(current)
    for path in paths:
        _check(kind, path, path in current.DESCRIPTOR.fields_by_name, path in immutable)
        result.ClearField(path)
        part = type(current)()
        part.CopyFrom(change)
        for other in part.DESCRIPTOR.fields_by_name:
            if other != path:
                part.ClearField(other)
        result.MergeFrom(part)
    return result


def _check(kind: str, path: str, known: bool, immutable: bool) -> None:
    if not known:
        problem = (
            f"{path} is not a known {kind} field. Note that field paths must be of the form "
            "'push_config' rather than 'pushConfig'."
        )
    elif immutable:
        problem = f"the {path} field in the {kind} is not mutable."
    else:
        return
    raise invalid(f"Invalid update_mask provided in the Update{kind}Request: {problem}")

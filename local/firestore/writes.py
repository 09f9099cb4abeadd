"""What one write of a commit does to one document: precondition, fields, transforms."""

from dataclasses import dataclass, field
from typing import Any

from local.firestore import fields as field_paths
from local.firestore import limits, transforms
from local.firestore.messages import Document
from local.firestore.paths import Path, document
from local.firestore.refusals import already_exists, failed_precondition, invalid, not_found


@dataclass(slots=True)
class State:
    """A document in the course of a commit. Times are microseconds since 1970; 0: none."""

    path: Path
    created: int
    updated: int
    before: bytes
    """As stored, empty if it is not."""
    current: Any
    """The Document message as it is now, None if there is none."""
    transforms: int = 0


@dataclass(slots=True)
class Outcome:
    """A write that was applied to its document's state."""

    state: State
    deleted: bool = False
    results: list[Any] = field(default_factory=list)


def target(write: Any) -> Path:
    """The document a write is about. Raises Status."""
    kind = write.WhichOneof("operation")
    if kind == "update":
        return document(write.update.name)
    if kind == "delete":
        return document(write.delete)
    if kind == "transform":
        return document(write.transform.document)
    raise invalid("empty write operation")


def apply(write: Any, state: State, commit_us: int) -> Outcome:
    """Apply a write to its document's state. Raises Status, and then nothing is to be kept."""
    _check_precondition(write, state)
    kind = write.WhichOneof("operation")
    if kind == "delete":
        state.current = None
        return Outcome(state, deleted=True)
    if kind == "update":
        _update(write, state)
        return _transform(write.update_transforms, state, commit_us)
    if not write.transform.field_transforms:
        raise invalid("The list of FieldTransform must not be empty.")
    _create_if_missing(state)
    return _transform(write.transform.field_transforms, state, commit_us)


def _check_precondition(write: Any, state: State) -> None:
    if not write.HasField("current_document"):
        return
    condition = write.current_document
    kind = condition.WhichOneof("condition_type")
    if kind == "exists":
        _check_exists(condition.exists, state)
    elif kind == "update_time":
        required = _micros(condition.update_time)
        stored = state.updated if state.current is not None else 0
        if stored != required:
            raise failed_precondition(
                f"the stored version ({stored}) does not match the required base version"
                f" ({required})"
            )


def _check_exists(expected: bool, state: State) -> None:
    if expected and state.current is None:
        raise not_found(f"No document to update: {state.path.name}")
    if not expected and state.current is not None:
        raise already_exists(f"Document already exists: {state.path.name}")


def _micros(stamp: Any) -> int:
    if stamp.nanos % 1000:
        raise invalid("timestamp cannot have more than microseconds precision")
    return int(stamp.seconds * 1_000_000 + stamp.nanos // 1000)


def _create_if_missing(state: State) -> None:
    if state.current is None:
        state.current = Document(name=state.path.name)


def _update(write: Any, state: State) -> None:
    limits.check_fields(write.update.fields)
    if not write.HasField("update_mask"):
        state.current = Document(name=state.path.name)
        state.current.fields.MergeFrom(write.update.fields)
        return
    _create_if_missing(state)
    given = write.update.fields
    for text in write.update_mask.field_paths:
        path = field_paths.parse_own(text)
        value = field_paths.get(given, path)
        if value is None:
            field_paths.remove(state.current.fields, path)
        else:
            field_paths.put(state.current.fields, path, value)


def _transform(given: Any, state: State, commit_us: int) -> Outcome:
    outcome = Outcome(state)
    if not given:
        return outcome
    state.transforms += len(given)
    limits.check_transforms(state.transforms, state.path.name)
    if len(given) > 1:
        transforms.check(given)
    for transform in given:
        outcome.results.append(transforms.apply(state.current.fields, transform, commit_us))
    return outcome

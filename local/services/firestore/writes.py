"""What one mutation does to one document: precondition, fields, transforms."""

from dataclasses import dataclass, field
from typing import Any

from local.kernel.refusals import already_exists, failed_precondition, invalid, not_found
from local.services.firestore import fields as field_paths
from local.services.firestore import transforms
from local.services.firestore.messages import Document
from local.services.firestore.mutations import Mutation
from local.services.firestore.paths import Path


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


@dataclass(slots=True)
class Outcome:
    """A mutation that was applied to its document's state."""

    state: State
    results: list[Any] = field(default_factory=list)
    """Of its transforms: Value messages."""


def apply(mutation: Mutation, state: State, commit_us: int) -> Outcome:
    """Apply a mutation to its document's state. Raises Status, and nothing is to be kept then."""
    _check_precondition(mutation, state)
    if mutation.is_delete:
        state.current = None
        return Outcome(state)
    if mutation.fields is not None:
        _update(mutation, state)
    elif state.current is None:
        state.current = Document(name=state.path.name)
    fields = state.current.fields
    results = [transforms.apply(fields, each, commit_us) for each in mutation.transforms]
    return Outcome(state, results)


def _check_precondition(mutation: Mutation, state: State) -> None:
    if mutation.exists and state.current is None:
        raise not_found(f"No document to update: {state.path.name}")
    if mutation.exists is False and state.current is not None:
        raise already_exists(f"Document already exists: {state.path.name}")
    if mutation.version is not None and mutation.version != state.updated:
        if state.current is not None and mutation.version > state.updated:
            raise invalid(
                f"Invalid base version, it is greater than the stored version: {state.path.name}"
            )
        raise failed_precondition(
            f"the stored version ({state.updated}) does not match the required base version"
            f" ({mutation.version})"
        )


def _update(mutation: Mutation, state: State) -> None:
    if mutation.mask is None:
        state.current = Document(name=state.path.name)
        state.current.fields.MergeFrom(mutation.fields)
        return
    if state.current is None:
        state.current = Document(name=state.path.name)
    for path in mutation.mask:
        value = field_paths.get(mutation.fields, path)
        if value is None:
            field_paths.remove(state.current.fields, path)
        else:
            field_paths.put(state.current.fields, path, value)

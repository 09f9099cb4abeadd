"""The writes of a commit, checked before any is applied: each by itself, and those of one document.

Several writes of one document are one mutation to the platform. What they require must go together:
after a delete nothing can require existence, after anything else nothing can require absence, and
only the version the first requires can be required again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore import limits, transforms
from local.services.firestore.fields import FieldPath
from local.services.firestore.paths import Path, document
from local.services.firestore.transforms import Transform


@dataclass(slots=True)
class Mutation:
    """One write, checked."""

    path: Path
    fields: Any = None
    """The field map to write; None: a delete, or a transform alone."""
    mask: tuple[FieldPath, ...] | None = None
    """The fields to write or delete; None: all."""
    is_delete: bool = False
    transforms: Sequence[Transform] = ()
    exists: bool | None = None
    version: int | None = None
    """The update time the document must have, in microseconds."""

    @property
    def kind(self) -> str:
        """What the platform calls it."""
        if self.is_delete:
            return "delete"
        if self.exists is None and self.version is None:
            return "upsert"
        return "insert" if self.exists is False else "update"


def parse(writes: Sequence[Any]) -> list[Mutation]:
    """The mutations from Write messages. Raises Status."""
    mutations = [_mutation(write) for write in writes]
    if len(mutations) > 1:
        _check_together(mutations)
    return mutations


def _mutation(write: Any) -> Mutation:
    kind = write.WhichOneof("operation")
    if kind == "update":
        mutation = _update(write)
    elif kind == "delete":
        mutation = Mutation(document(write.delete), is_delete=True)
    elif kind == "transform":
        mutation = _transform(write.transform)
    else:
        raise invalid("empty write operation")
    limits.check_transforms(len(mutation.transforms), mutation.path.name)
    if write.HasField("current_document"):
        _require(mutation, write.current_document)
    return mutation


def _update(write: Any) -> Mutation:
    mutation = Mutation(document(write.update.name), write.update.fields)
    limits.check_fields(mutation.fields)
    if write.HasField("update_mask"):
        mutation.mask = tuple(map(field_paths.parse_own, write.update_mask.field_paths))
    mutation.transforms = transforms.parse(write.update_transforms)
    return mutation


def _transform(message: Any) -> Mutation:
    if not message.field_transforms:
        raise invalid("The list of FieldTransform must not be empty.")
    mutation = Mutation(document(message.document))
    mutation.transforms = transforms.parse(message.field_transforms)
    return mutation


def _require(mutation: Mutation, condition: Any) -> None:
    kind = condition.WhichOneof("condition_type")
    if kind == "exists":
        mutation.exists = condition.exists
    elif kind == "update_time":
        stamp = condition.update_time
        if stamp.nanos % 1000:
            raise invalid("timestamp cannot have more than microseconds precision")
        mutation.version = int(stamp.seconds * 1_000_000 + stamp.nanos // 1000)


def _check_together(mutations: list[Mutation]) -> None:
    firsts: dict[bytes, Mutation] = {}
    lasts: dict[bytes, Mutation] = {}
    counts: dict[bytes, int] = {}
    for mutation in mutations:
        key = mutation.path.key
        if key in lasts:
            _check_pair(lasts[key], mutation, firsts[key].version)
        firsts.setdefault(key, mutation)
        lasts[key] = mutation
        counts[key] = counts.get(key, 0) + len(mutation.transforms)
        limits.check_transforms(counts[key], mutation.path.name)


def _check_pair(earlier: Mutation, later: Mutation, version: int | None) -> None:
    requires_it = later.exists or later.version is not None
    if earlier.is_delete and requires_it and not (later.is_delete and later.version is not None):
        raise _impossible(earlier, later)
    if not earlier.is_delete and later.exists is False:
        raise _impossible(earlier, later)
    if later.version not in (None, version):
        raise invalid(
            "Cannot collapse mutations with different version preconditions"
            f" ({version or 'null'} and {later.version})."
        )


def _impossible(earlier: Mutation, later: Mutation) -> Exception:
    return invalid(f"Cannot {earlier.kind} then {later.kind} an entity in the same request.")

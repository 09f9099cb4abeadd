"""Campaigns as they are declared, and their audience."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from typing import Any, Literal

from msgspec import Struct, field

from common.cloud import firestore
from common.cloud.firestore import Filter, Snapshot
from common.errors import MalformedError
from common.idempotency import Call, Outcome, Work
from common.idempotency.record import OnUnknownOutcome
from common.process import logs
from common.scheduling.campaigns import periods
from common.scheduling.campaigns.periods import At, Period, TargetDay, Window
from common.scheduling.needs import Needs, nobody


class Audience(Struct, frozen=True, kw_only=True):
    """Who gets a campaign: documents of a collection."""

    collection: str
    where: Mapping[str, Any] = field(default_factory=dict)
    """Equality filters: fields and their values."""
    id_field: str = "user_id"
    """The field with the user's id; without it, the document's own name stands for the id."""
    zone_field: str = "timezone"
    """The field with the name of the user's time zone."""

    @property
    def filters(self) -> Sequence[Filter]:
        """As a query takes them."""
        return [(name, "==", value) for name, value in self.where.items()]

    def page(
        self, size: int, *, after: str | None, first: str | None = None, before: str | None = None
    ) -> list[Snapshot]:
        """At most `size` documents in the order of their ids: those after `after`, else from
        `first` on, that come before `before`. Raises what `firestore.query` raises."""
        return list(
            firestore.query(
                self.collection,
                *self.filters,
                limit=size,
                after=after,
                first=first,
                before=before,
                fields=[self.id_field, self.zone_field],
            )
        )

    def user_id(self, found: Snapshot) -> str:
        """The id of the user whom a document of the audience is about."""
        if given := found.data.get(self.id_field):
            return str(given)
        # A document written by others need not have the field; its id is the user's, escaped.
        return firestore.original_name(found.path.rpartition("/")[2]) or ""


class Edition(Struct, frozen=True, kw_only=True):
    """What a campaign tells its users in one period."""

    campaign: str
    period: str
    day: date
    """The target day, the same for all users; it begins in each user's zone."""
    run: str
    """The run that asked for it."""

    def days_before(self, days: int, zone: tzinfo) -> Window:
        """The so many local days up to the beginning of the target day, in a user's zone."""
        return periods.days_before(self.day, days, zone)


class Campaign(Struct, frozen=True, kw_only=True):
    """A campaign, declared once: who gets it, for which day, when, and what each of them gets."""

    name: str
    """Literal; what the body of the Scheduler's tick names."""
    audience: Audience
    period: Period
    """The period of the target day; a user gets one message in each."""
    queue: str
    """The Cloud Tasks queue of its tasks, one for each user. Where the table has several of the
    name, each user has one of them."""
    send: Callable[[str, Edition, Work], Outcome]
    """Sends one user, by id, the message of an edition; the result is `sent` (or None, which counts
    as `sent`) or `skipped`."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """`hold`: what may have happened already is dead-lettered and not done again, for money."""
    needs: Needs = nobody
    """Whom `send` needs outside, such as `messages.ensure_open`."""
    day: TargetDay = periods.today
    """The local day that a tick means."""
    at: At | None = None
    """When on that day, in each user's zone; None: now. The tick must be early enough for the zone
    that is first, 14 hours ahead of UTC."""
    overlap: Literal["skip", "allow"] = "skip"
    """What becomes of a tick while an earlier run still enqueues."""


def named(call: Call, campaigns: Mapping[str, Campaign]) -> Campaign:
    """The campaign that a call is about. Raises MalformedError."""
    name = call.text("campaign")
    if name not in campaigns:
        raise MalformedError(f"{name!r:.100} is no campaign")
    logs.bind(campaign=name)
    return campaigns[name]

"""Reacts to the clinic's events.

Trigger: a Pub/Sub topic, as an Eventarc CloudEvent.
Does: what the handler of the event's type says; events of other types are acknowledged.
Repeats: none has an effect; `event_id` is the key.
Gives up: malformed events at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from cloudevents.http import CloudEvent

from common.idempotency import Outcome, Work
from common.process.tables import table
from common.triggers import entry, pubsub
from common.triggers.events import Event, event
from functions.clinic import appointments


@entry.cloud_event
def consumer(cloud_event: CloudEvent) -> None:
    """Handle one delivery of one event."""
    pubsub.receive(cloud_event, "consumer", EVENTS)


@event("appointment.booked", fields={"appointment_id": str, "starts_at": str, "phone": str})
def appointment_booked(booked: Event, work: Work) -> Outcome:
    """Record the appointment, and remind of it on the day before."""
    writes = [appointments.record(booked), *appointments.remind(booked, work)]
    return Outcome(result="scheduled", writes=writes)


EVENTS = table(appointment_booked)

"""Appointments: recorded when they are booked, reminded of on the day before."""

from datetime import timedelta

from common.cloud import firestore
from common.cloud.documents import DocumentKind
from common.cloud.firestore import Merge, Write
from common.idempotency import Outcome, Work
from common.scheduling import reminders
from common.scheduling.reminders import Reminder, ReminderKind
from common.triggers.events import Event
from functions.clinic import texts

APPOINTMENT = DocumentKind(name="appointment", collection="appointments", user_field="patient_id")


def record(booked: Event) -> Write:
    """The document of an appointment. Whoever cancels the appointment sets `cancelled` in it."""
    fields = {"patient_id": booked.user_id, "starts_at": booked.time("starts_at")}
    return Merge(path=_path(booked.payload["appointment_id"]), fields=fields)


def remind(booked: Event, work: Work) -> list[Write]:
    """Remind of an appointment a day before it; one that is booked later is confirmed at once."""
    starts_at = booked.time("starts_at")
    return reminders.within(work).schedule(
        APPOINTMENT_TOMORROW,
        booked.payload["appointment_id"],
        user_id=booked.user_id,
        payload={"phone": booked.payload["phone"], "when": f"{starts_at:%d %B at %H:%M}"},
        at=starts_at - timedelta(days=1),
    )


def _is_on(due: Reminder) -> bool:
    return not firestore.read(_path(due.subject)).data.get("cancelled")


def _send(due: Reminder, work: Work) -> Outcome:
    when, phone = due.payload["when"], due.payload["phone"]
    return texts.send(work, "appointment_tomorrow", phone, when=when)


def _path(appointment_id: str) -> str:
    return APPOINTMENT.path(appointment_id)


APPOINTMENT_TOMORROW = ReminderKind(name="appointment_tomorrow", check=_is_on, act=_send)

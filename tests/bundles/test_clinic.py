"""A second bundle on the same `common`, with nothing of the first: a clinic that sends texts.

`tests/bundles/clinic` is deployed as a bundle of one's own would be, and every text is sent once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from local.testing import Refused
from tests.bundles.clinic_cloud import Clinic, environment, running

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The clinic, up for all tests: each uses appointments and patients of its own."""
    with running(tmp_path_factory.mktemp("clinic")) as clinic:
        yield clinic


def test_what_is_deployed_is_common_and_the_clinic_alone(clinic: Clinic) -> None:
    files = [path.relative_to(clinic.source) for path in clinic.source.rglob("*.*")]
    assert {file.parts[0] for file in files} == {
        "common",
        "functions",
        "main.py",
        "requirements.txt",
    }
    assert not [file for file in files if "shop" in str(file)]


class TestAppointment:
    def test_booked_by_two_messages_it_sends_one_text_on_the_day_before(
        self, clinic: Clinic
    ) -> None:
        booked = clinic.booked(ahead=3 * DAY)
        clinic.publish(booked, booked)
        texts = [_texts_after_a_day(clinic, booked["payload"]["phone"]) for _ in range(3)]
        assert texts == [0, 1, 1]

    def test_booked_at_short_notice_it_is_confirmed_at_once(self, clinic: Clinic) -> None:
        booked = clinic.booked(ahead=DAY / 2)
        clinic.publish(booked)
        # An alarm that rings before its record is there rings again, up to three times in this.
        clinic.cloud.advance(10 * MINUTE)
        when = datetime.fromisoformat(booked["payload"]["starts_at"])
        assert clinic.texts(booked["payload"]["phone"]) == [
            f"Hilltop Clinic: we expect you on {when:%d %B at %H:%M}. "
            "If you cannot come, please call us."
        ]

    def test_cancelled_it_sends_none(self, clinic: Clinic) -> None:
        booked = clinic.booked()
        clinic.publish(booked)
        appointment = clinic.db.document(f"appointments/{booked['payload']['appointment_id']}")
        appointment.update({"cancelled": True})
        clinic.cloud.advance(3 * DAY)
        assert clinic.texts(booked["payload"]["phone"]) == []

    def test_while_the_provider_fails_it_is_asked_again_with_the_same_key(
        self, clinic: Clinic
    ) -> None:
        booked = clinic.booked()
        phone = booked["payload"]["phone"]
        clinic.provider.failures[phone] = 2
        clinic.publish(booked)
        clinic.cloud.advance(3 * DAY)
        keys = [asked.headers["idempotency-key"] for asked in clinic.requests(phone)]
        assert keys == [keys[0]] * 3


@pytest.mark.parametrize("asked", ["appointment", "event"])
def test_an_operator_finds_what_the_clinic_itself_declares(clinic: Clinic, asked: str) -> None:
    booked = clinic.booked()
    clinic.publish(booked)
    appointment = booked["payload"]["appointment_id"]
    found = clinic.shown(appointment if asked == "appointment" else booked["event_id"])
    kinds = {thing["kind"] for thing in found["things"]}
    assert kinds == {"work of consumer", "appointment", "reminder"}
    assert "appointment starts" in {entry["what"] for entry in found["timeline"]}


class TestCampaign:
    def test_a_patient_gets_one_text_a_month_however_often_a_tick_fires(
        self, clinic: Clinic
    ) -> None:
        phones = [clinic.patient(checkup_due=True) for _ in range(3)]
        for day in (1, 1, 2):
            clinic.tick(datetime(2040, 3, day, 9, tzinfo=UTC))
        text = "Hilltop Clinic: it is time for your check-up. Please call us for an appointment."
        assert [clinic.texts(phone) for phone in phones] == [[text]] * 3

    def test_the_next_month_brings_the_next_text(self, clinic: Clinic) -> None:
        phone = clinic.patient(checkup_due=True)
        for month in (3, 4):
            clinic.tick(datetime(2041, month, 1, 9, tzinfo=UTC))
        assert len(clinic.texts(phone)) == 2

    def test_a_patient_who_is_not_due_gets_none(self, clinic: Clinic) -> None:
        phone = clinic.patient(checkup_due=False)
        clinic.tick(datetime(2042, 3, 1, 9, tzinfo=UTC))
        assert clinic.texts(phone) == []


def test_an_event_of_another_type_is_ignored(clinic: Clinic) -> None:
    praised = clinic.praised()
    clinic.publish(praised)
    assert clinic.actions(praised["event_id"]) == ["ignored"]


def test_nothing_is_kept_about_users_or_mail(clinic: Clinic) -> None:
    clinic.patient(checkup_due=True)
    clinic.publish(clinic.booked(ahead=DAY / 2))
    clinic.tick(datetime(2043, 3, 1, 9, tzinfo=UTC))
    kept = {collection.id for collection in clinic.db.collections()}
    assert {"appointments", "patients"} <= kept
    assert not {"users", "messages"} & kept


def test_without_its_provider_a_function_ends_at_start_with_one_sentence(clinic: Clinic) -> None:
    untold = environment(clinic, TEXT_URL="")
    with pytest.raises(Refused):
        clinic.cloud.deploy(clinic.source, "untold", entry_point="reminder", env=untold)
    assert clinic.cloud.log("untold") == [
        "TEXT_URL is not set, but needed by reminder: where text messages are posted."
    ]


def _texts_after_a_day(clinic: Clinic, phone: str) -> int:
    clinic.cloud.advance(DAY)
    return len(clinic.texts(phone))

"""Check-ups: patients who are due for one are told so, once a month."""

from common.cloud import firestore
from common.cloud.documents import DocumentKind
from common.idempotency import Outcome, Work
from common.process.tables import table
from common.scheduling.campaigns import Audience, Campaign, Edition, month
from functions.clinic import texts

PATIENT = DocumentKind(name="patient", collection="patients", user_field="patient_id")
DUE = Audience(collection="patients", where={"checkup_due": True}, id_field="patient_id")


def _send(patient_id: str, edition: Edition, work: Work) -> Outcome:
    """To the number that the patient has now, if the check-up is still due."""
    is_due = (("patient_id", "==", patient_id), ("checkup_due", "==", True))
    patient = next(firestore.query("patients", *is_due, limit=1), None)
    if patient is None:
        return Outcome(result="skipped")
    return texts.send(work, "checkup_due", patient.data["phone"])


CHECKUP_DUE = Campaign(
    name="checkup_due",
    audience=DUE,
    period=month,
    queue="checkups",
    send=_send,
)

CAMPAIGNS = table(CHECKUP_DUE)

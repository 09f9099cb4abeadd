"""Text messages: a template of this folder, posted to the provider at TEXT_URL."""

from pathlib import Path

from common.idempotency import Outcome, Work
from common.messaging.rendering import Templates
from common.outside import http
from functions.clinic import settings

TEMPLATES = Templates(folder=Path(__file__).with_name("templates"))


def send(work: Work, template: str, phone: str, **context: str) -> Outcome:
    """Send one text message, as the last step of the work."""
    config = settings.current()
    text = TEMPLATES.text(f"{template}.txt", {"clinic": config.clinic_name, **context})
    body = {"to": phone, "text": text}
    work.effect("text", lambda key: http.post_json(config.text_url, body, key=key))
    return Outcome(result="sent")

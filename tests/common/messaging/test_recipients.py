"""Who gets a message, as a bundle tells it."""

from common.messaging.recipients import Recipient


def test_somebody_of_whom_nothing_else_is_said_is_known_and_subscribed() -> None:
    found = Recipient(user_id="u-1")
    assert (found.is_known, found.is_unsubscribed) == (True, False)
    assert (found.address, found.name, found.zone) == (None, None, None)

"""The messages of the shop, each declared once."""

from pathlib import Path

from common.messaging.messages import Mailing, Message
from common.messaging.rendering import Templates
from functions.shop import users
from functions.shop.items import lines
from functions.shop.money import amounts, money

MAILING = Mailing(
    templates=Templates(
        folder=Path(__file__).with_name("templates"),
        filters={"money": money, "amounts": amounts, "lines": lines},
    ),
    recipients=users.recipient,
)

WELCOME = Message("welcome", MAILING, transactional=True)
ORDER_CONFIRMATION = Message("order_confirmation", MAILING, transactional=True)
PAYMENT_RETRY = Message("payment_retry", MAILING, transactional=True)
CART_ABANDONMENT_REMINDER = Message("cart_abandonment_reminder", MAILING, transactional=False)
ONBOARDING_DAY_1 = Message("onboarding_day_1", MAILING, transactional=False)
ONBOARDING_DAY_3 = Message("onboarding_day_3", MAILING, transactional=False)
ONBOARDING_DAY_7 = Message("onboarding_day_7", MAILING, transactional=False)
WEEKLY_DIGEST = Message("weekly_digest", MAILING, transactional=False)

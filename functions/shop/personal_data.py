"""Where the shop keeps data of a person: what an erasure deletes, declared once."""

from collections.abc import Sequence

from common.people.personal_data import Held, PersonalData, of_everybody
from common.process.tables import table
from functions.shop import carts, orders, users


def _addresses(user_id: str) -> Sequence[str]:
    email = users.read(user_id).data.get("email")
    return [email] if isinstance(email, str) and email else []


SHOP = PersonalData(
    name="shop",
    document=users.path,
    addresses=_addresses,
    held=(
        of_everybody(carts.CART.collection),
        Held(
            name="orders",
            collection=orders.ORDER.collection_of,
            user_field=None,
        ),
    ),
)

PERSONAL_DATA = table(SHOP)

"""The documents of the shop that have an id which somebody may ask for."""

from common.process.tables import table
from functions.shop.carts import CART
from functions.shop.orders import ORDER
from functions.shop.users import USER

DOCUMENTS = table(USER, CART, ORDER)

"""Documents of a bundle are where their kind says, whatever the ids are."""

from common.cloud.documents import DocumentKind

CART = DocumentKind(name="cart", collection="carts")
ORDER = DocumentKind(name="order", collection="users/{user_id}/orders")


def test_a_document_has_its_id_in_the_collection_of_its_kind() -> None:
    assert CART.path("c-1") == "carts/c-1"
    assert CART.collection_of("ada") == "carts"


def test_where_each_user_has_a_collection_it_is_that_users() -> None:
    assert (CART.is_under_a_user, ORDER.is_under_a_user) == (False, True)
    assert ORDER.path("o-1", user_id="ada") == "users/ada/orders/o-1"


def test_neither_id_leads_to_another_place() -> None:
    assert CART.path("c/../1").count("/") == 1
    assert ORDER.path("o/1", user_id="ada/orders/o-2").count("/") == 3
    assert ORDER.collection_of("ada/orders/o-2").count("/") == 2

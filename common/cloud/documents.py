"""Documents of a bundle's own, declared once: where they are, and what an operator calls one.

    from common.cloud.documents import DocumentKind

    APPOINTMENT = DocumentKind(name="appointment", collection="appointments")
    assert APPOINTMENT.path("a-1") == "appointments/a-1"

An operator who has an id and nothing else finds what is listed in a table.
"""

from msgspec import Struct

from common.cloud import firestore

USER = "{user_id}"


class DocumentKind(Struct, frozen=True, kw_only=True):
    """One kind of document, each with an id of the business."""

    name: str
    """What one of them is called: `appointment`."""
    collection: str
    """The path of the collection; `{user_id}` in it stands for the user whose document it is."""
    user_field: str = "user_id"
    """The field that names the user."""

    @property
    def is_under_a_user(self) -> bool:
        """Whether each user has a collection of their own."""
        return USER in self.collection

    def path(self, id: str, *, user_id: str = "") -> str:
        """Where the document with this id is; of this user, where each has a collection."""
        return f"{self.collection_of(user_id)}/{firestore.document_id(id)}"

    def collection_of(self, user_id: str) -> str:
        """The path of the collection; of this user, where each has one."""
        if not self.is_under_a_user:
            return self.collection
        return self.collection.replace(USER, firestore.document_id(user_id))

"""What the functions of these tests counted in Firestore."""

from collections.abc import Callable

from local.testing import LocalCloud

Counts = Callable[[LocalCloud], dict[str, int]]
"""From a cloud to the numbers: name of a message or task → how often a function got it."""

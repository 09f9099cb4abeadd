"""A cloud for the verdict to look at."""

from local.testing import cloud

__all__ = ["cloud"]

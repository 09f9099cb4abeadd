"""What every test of `common` may ask for."""

from tests.common.surroundings import documents, environment, queues, unbound

__all__ = ["documents", "environment", "queues", "unbound"]

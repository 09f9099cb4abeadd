"""What the tests of the functions may ask for: the shop deployed, or in memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.common.surroundings import documents, environment, queues, unbound
from tests.functions.in_memory import bundle
from tests.functions.shop_in_memory import shop_in_memory

if TYPE_CHECKING:
    from tests.functions.shop_cloud import Shop

__all__ = ["bundle", "documents", "environment", "queues", "shop", "shop_in_memory", "unbound"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Shop]":
    """The shop, up for all tests: each uses users of its own."""
    # Imported here, because the clients of a cloud take a second that a test in memory needs not.
    from local.testing import local_cloud
    from tests.functions.shop_cloud import deployed

    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud, deployed(cloud) as shop:
        yield shop

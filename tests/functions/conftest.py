"""What the tests of the functions may ask for: the shop deployed, or in memory."""

from collections.abc import Iterator

import pytest

from local.demo.provider import Provider
from local.testing import local_cloud
from tests.common.surroundings import documents, environment, queues, unbound
from tests.functions.in_memory import bundle
from tests.functions.shop_cloud import Shop, deploy
from tests.functions.shop_in_memory import shop_in_memory

__all__ = ["bundle", "documents", "environment", "queues", "shop", "shop_in_memory", "unbound"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop, up for all tests: each uses users of its own."""
    provider = Provider()
    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        shop = Shop(cloud, provider)
        deploy(shop)
        yield shop
    provider.close()

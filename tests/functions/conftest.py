"""One shop for all tests of the functions."""

from collections.abc import Iterator

import pytest

from local.demo.provider import Provider
from local.testing import local_cloud
from tests.functions.in_memory import bundle
from tests.functions.shop_cloud import Shop, deploy

__all__ = ["bundle", "shop"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop, up for all tests: each uses users of its own."""
    provider = Provider()
    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        shop = Shop(cloud, provider)
        deploy(shop)
        yield shop
    provider.close()

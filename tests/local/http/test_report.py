"""What `status`, its JSON and the page show."""

from collections.abc import Callable, Iterator

import pytest
import requests

from local.cli import table
from local.testing import LocalCloud, local_cloud

IGNORING = """
import json
import functions_framework

@functions_framework.cloud_event
def consumer(event):
    line = json.dumps({"action": "ignored", "event_type": "stock.counted"})
    print(line + "\\n", end="")  # in one piece: two threads print
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud three days and four hours ahead, whose consumer ignored two events."""
    source = tmp_path_factory.mktemp("ignoring")
    (source / "main.py").write_text(IGNORING)
    with local_cloud() as made:
        made.deploy(source, "consumer", topic="events")
        made.publish({"n": 1}, {"n": 2})
        made.advance("3d4h")
        yield made


def test_ignored_events_are_counted_by_type(cloud: LocalCloud, until: Callable[..., None]) -> None:
    until(lambda: cloud.status()["ignored_events"] == {"stock.counted": 2})
    assert "ignored events  stock.counted 2" in table.status(cloud.status()).splitlines()
    assert "<td>stock.counted</td><td>2</td>" in requests.get(cloud.url, timeout=10).text


def test_the_clocks_lead_is_in_days_and_hours(cloud: LocalCloud) -> None:
    assert ", 3 d 4 h ahead; " in table.status(cloud.status()).splitlines()[0]
    assert "3 d 4 h ahead of real time" in requests.get(cloud.url, timeout=10).text


def test_the_clock_is_told_without_the_rest(cloud: LocalCloud) -> None:
    told = cloud.request("GET", "/local/v1/clock")
    assert set(told) == {"now", "ahead_seconds", "in_flight", "next_due"}
    assert told["now"] <= cloud.status()["clock"]["now"]

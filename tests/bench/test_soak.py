"""The soak in its short form: some hundred deliveries, two kills and the outage."""

from collections.abc import Iterator

import pytest

from tests.bench import soak
from tests.bench.soak import Tally
from tests.functions import storms
from tests.functions.storms import Verdict


@pytest.fixture(scope="module")
def soaked() -> Iterator[tuple[Tally, Verdict]]:
    """What there was, and what was not as it must be."""
    with soak.soak(size=60, kills=2) as ended:
        yield ended


@pytest.mark.slow
def test_nothing_is_lost_doubled_dead_or_stuck(soaked: tuple[Tally, Verdict]) -> None:
    _, verdict = soaked
    assert verdict == Verdict(lost=[], doubled=[], dead=[], stuck=[])


@pytest.mark.slow
def test_all_that_is_to_go_wrong_went_wrong(soaked: tuple[Tally, Verdict]) -> None:
    tally, _ = soaked
    assert (tally.kills, tally.deliveries.total() >= 60) == (2, True)
    assert all(tally.injected[kind] > 0 for kind in (*soak.NASTY, "kills"))


@pytest.mark.slow
def test_no_message_comes_near_the_hundred_deliveries_of_pubsub(
    soaked: tuple[Tally, Verdict],
) -> None:
    tally, _ = soaked
    assert 1 < tally.attempts["pubsub"] <= storms.MOST_ATTEMPTS


def test_whatever_is_not_as_it_must_be_ends_it_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(lost=["a mail"], doubled=[], dead=[], stuck=[])
    soak.tell(Tally(), verdict)
    assert not verdict.holds
    assert "lost: a mail" in capsys.readouterr().out

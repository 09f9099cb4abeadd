"""How long work waits for somebody outside, against how long anybody keeps it meanwhile.

Cloud Tasks   a task is forgotten 31 days after it was made; its alarm may be one hop ahead,
              and what it rings for waits from then on
Pub/Sub       what is too large to be handed over stays in its subscription while it waits
records       are kept for 60 days, and reasons that alternate wait twice as long as one:
              that is less than 31 days if the first is true
"""

from collections.abc import Iterator

from deployment.table.target import DAY, KEPT, Target

SETTING = "OUTAGE_PATIENCE"
USUAL = 7 * DAY
"""Seconds, where nothing is set."""
HOP = 21 * DAY
"""Seconds that an alarm is ahead at most."""
LONGEST = KEPT - HOP - DAY
"""Seconds; the day is for a queue that is behind."""


def problems(target: Target) -> Iterator[str]:
    """One line for each thing that is kept for less long than work may wait."""
    path = f"environments.{target.environment.name}.settings.{SETTING}"
    text = target.settings.get(SETTING) or str(USUAL)
    try:
        seconds = float(text)
    except ValueError:
        yield f"{path}: is {text!r}, but must be a number of seconds"
        return
    if not 0 <= seconds <= LONGEST:
        yield (
            f"{path}: is {text} s, but must be {LONGEST} s at most, 9 days: an alarm is 21 days "
            f"ahead at most, and Cloud Tasks forgets a task after 31"
        )
    for row in target.bundle.subscriptions.values():
        if row.keeps <= seconds:
            yield (
                f"subscriptions.{row.name}: keeps messages for {row.keeps} s, but work waits for "
                f"{seconds:g} s, {SETTING}"
            )

"""The numbers of the table, checked before anything is deployed; one sentence for each misfit.

Cloud Tasks and Pub/Sub must go on longer than the bundle itself does, and a function must take
what is sent to it at once.
"""

from collections.abc import Iterator

from deployment.errors import TableError
from deployment.table import patience, pauses, source
from deployment.table.bundle import Alert, Bundle, Function, Queue, Subscription
from deployment.table.environments import Environment
from deployment.table.target import DAY, KEPT, Target

EVENT_TIMEOUT = 540
TASK_TIMEOUT = 1800
"""Seconds that the platform allows: where Pub/Sub calls, and where Cloud Tasks does."""
DELIVERIES = range(5, 101)
LONGEST_PAUSE = 600
ABSENCES = range(120, 84_601)
"""Seconds of which Cloud Monitoring can say that nothing was seen in them."""
LONGEST_ACCOUNT, SHORTEST_ACCOUNT = 30, 6
INGRESS = ("all", "internal-only", "internal-and-gclb")
SHARE = 0.8
"""Of the CPU quota: new revisions start beside the old ones."""


def check(target: Target) -> None:
    """Raises TableError with one line for each number that does not fit."""
    if found := list(problems(target)):
        raise TableError("\n".join(found))


def asked(target: Target) -> int:
    """vCPU that the functions of all environments in this project and region use at most."""
    others = (target.bundle.with_overrides(row) for row in _neighbours(target))
    return _cpu_of(target.bundle) + sum(map(_cpu_of, others))


def _cpu_of(bundle: Bundle) -> int:
    return sum(row.cpu * row.max_instances for row in bundle.functions.values())


def problems(target: Target) -> Iterator[str]:
    """One line for each number that does not fit."""
    bundle = target.bundle
    for function in bundle.functions.values():
        yield from _function(function)
        yield from _room(bundle, function)
    for queue in bundle.queues.values():
        yield from _queue(bundle, queue)
    for subscription in bundle.subscriptions.values():
        yield from _subscription(bundle, subscription)
    for schedule in bundle.schedules.values():
        if schedule.retries > 0 and schedule.retried_for < DAY:
            yield (
                f"schedules.{schedule.name}: is retried for {schedule.retried_for} s, but must be "
                f"for a day, {DAY} s"
            )
    for alert in bundle.alerts.values():
        yield from _alert(alert)
    yield from _cpu(target)
    yield from _names(target)
    yield from _settings(target)
    yield from patience.problems(target)
    yield from source.problems(target.root)


def _function(row: Function) -> Iterator[str]:
    path = f"functions.{row.name}"
    if not row.budget < row.timeout < row.lease:
        yield (
            f"{path}: may work for {row.budget} s, is stopped after {row.timeout} s and loses its "
            f"claim after {row.lease} s, but each must be less than the next"
        )
    longest = TASK_TIMEOUT if row.is_http else EVENT_TIMEOUT
    if row.timeout > longest:
        yield f"{path}: is stopped after {row.timeout} s, but must be after {longest} s at most"
    if row.ingress not in INGRESS:
        yield f"{path}.ingress: is {row.ingress!r}, but must be one of {', '.join(INGRESS)}"
    if row.concurrency > 1 and row.cpu < 1:
        yield f"{path}: takes {row.concurrency} requests at once, and needs a whole cpu for that"
    if not row.min_instances <= row.max_instances:
        yield f"{path}: has at least {row.min_instances} instances, but {row.max_instances} at most"


def _room(bundle: Bundle, row: Function) -> Iterator[str]:
    """More requests at a time than it takes would be answered 429, which slows a whole queue."""
    sent = sum(queue.at_once for queue in bundle.queues.values() if queue.calls == row.name)
    room = row.concurrency * row.max_instances
    if sent > room:
        yield (
            f"functions.{row.name}: queues send it {sent} requests at once, but "
            f"{row.max_instances} instances of {row.concurrency} take {room}"
        )


def _queue(bundle: Bundle, row: Queue) -> Iterator[str]:
    path = f"queues.{row.name}"
    if row.attempts == 0 or row.attempts < -1:
        yield f"{path}.attempts: is {row.attempts}, but must be -1, for ever, or a number of them"
    if row.attempts > 0:
        own = bundle.head.max_attempts
        lease = bundle.functions[row.calls].lease
        timing = (row.first_pause, row.last_pause, row.doublings)
        needed = own + sum(pauses.attempts_in(seconds, *timing) for seconds in (KEPT, lease))
        if row.attempts < needed:
            yield (
                f"{path}: makes {row.attempts} attempts, but 31 days, a crash's lease of {lease} s "
                f"and our own {own} attempts take {needed}"
            )
    if not 0 < row.a_second <= 500 or not 0 < row.at_once <= 5000:
        yield f"{path}: Cloud Tasks makes at most 500 calls a second, and 5000 at once"
    if not 1 <= row.count <= 100:
        yield f"{path}: count is {row.count}, but must be 1 to 100"
    if row.first_pause > row.last_pause:
        yield f"{path}: its first pause of {row.first_pause} s is longer than its last"


def _subscription(bundle: Bundle, row: Subscription) -> Iterator[str]:
    path = f"subscriptions.{row.name}"
    function = bundle.functions[row.calls]
    if not 10 <= row.ack_deadline <= 600:
        yield f"{path}.ack_deadline: is {row.ack_deadline}, but must be from 10 to 600"
    if function.timeout > row.ack_deadline:
        yield (
            f"{path}: {row.calls} may take {function.timeout} s, but Pub/Sub delivers again after "
            f"{row.ack_deadline} s"
        )
    if not DAY < row.keeps <= KEPT:
        yield (
            f"{path}: keeps messages for {row.keeps} s, but must for more than a day, {DAY} s, and "
            f"for 31 at most"
        )
    if not 0 <= row.first_pause <= row.last_pause <= LONGEST_PAUSE:
        yield f"{path}: its pauses must grow, up to {LONGEST_PAUSE} s at most"
    if row.dead_letter_topic:
        yield from _deliveries(bundle, row, path)


def _deliveries(bundle: Bundle, row: Subscription, path: str) -> Iterator[str]:
    own, lease = bundle.head.max_attempts, bundle.functions[row.calls].lease
    needed = own + pauses.attempts_in(lease, row.first_pause, row.last_pause, 9)
    if row.deliveries not in DELIVERIES:
        yield f"{path}.deliveries: is {row.deliveries}, but must be from 5 to 100"
    elif row.deliveries < needed:
        yield (
            f"{path}: Pub/Sub makes {row.deliveries} deliveries, but a crash's lease of {lease} s "
            f"and our own {own} attempts take {needed}"
        )


def _alert(row: Alert) -> Iterator[str]:
    path = f"alerts.{row.name}"
    if bool(row.at_most_every) == bool(row.missing_for):
        yield f"{path}: must have either at_most_every or missing_for"
    if row.missing_for and (row.missing_for not in ABSENCES or row.missing_for % 60):
        yield (
            f"{path}.missing_for: is {row.missing_for}, but must be whole minutes, from "
            f"{ABSENCES.start} s to {ABSENCES.stop - 1} s"
        )


def _cpu(target: Target) -> Iterator[str]:
    """All environments of one project and region share its quota."""
    here, total = target.environment, asked(target)
    most = here.cpu_quota * SHARE
    if total > most and not here.is_local:
        names = ", ".join(sorted([here.name, *(row.name for row in _neighbours(target))]))
        yield (
            f"functions: {names} ask for {total} vCPU together, but must for {most:g} at most, "
            f"80 % of cpu_quota, {here.cpu_quota}"
        )


def _neighbours(target: Target) -> list[Environment]:
    """The other environments in the same project and region."""
    here = target.environment
    return [
        row
        for row in target.bundle.environments.values()
        if (row.project, row.region) == (here.project, here.region) and row.name != here.name
    ]


def _names(target: Target) -> Iterator[str]:
    for account in target.accounts:
        name = target.name(account)
        if not SHORTEST_ACCOUNT <= len(name) <= LONGEST_ACCOUNT:
            yield f"the account {name} has {len(name)} characters, but must have from 6 to 30"
    for function in target.bundle.functions:
        if len(target.name(function)) > 40:
            yield f"the function {target.name(function)} has a name of more than 40 characters"


def _settings(target: Target) -> Iterator[str]:
    if target.environment.is_local:
        return
    path = f"environments.{target.environment.name}.settings"
    for name, value in target.settings.items():
        if name in target.computed:
            yield f"{path}.{name}: the deployment says that itself"
        if "@" in value.partition("://")[2].partition("/")[0]:
            yield f"{path}.{name}: holds a password; name it in secrets instead"

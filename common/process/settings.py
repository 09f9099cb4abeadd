"""Settings: read from the environment once, in this module alone.

`common.process.variables` is the table of what `common` reads. A bundle declares its own in the
same way, with a Struct whose fields are the names of the variables in lower case:

    from common.process import parsers, settings
    from common.process.hiding import Hidden, Hiding
    from common.process.variables import Variable

    class Clinic(Hiding, frozen=True, kw_only=True):
        text_url: Hidden[str]

    VARIABLES = {
        "TEXT_URL": Variable(
            meaning="where text messages are posted", parse=parsers.url, needed_by={"reminder"}
        )
    }
    current = settings.reader(Clinic, VARIABLES)

Empty or blank means unset: the default, else None, and the functions that need it do not start.
Other variables are ignored. Google's Firestore client reads its own FIRESTORE_EMULATOR_HOST, which
is listed there because whoever runs the functions may set it.
"""

import functools
import os
import sys
from collections.abc import Mapping, Set
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from common.errors import ConfigurationError
from common.process.hiding import Hidden, Hiding
from common.process.parsers import Queues, Smtp
from common.process.variables import ALL, VARIABLES, Variable

DAY = 86_400
"""Seconds: the outage that deliveries must outlast."""


class Settings(Hiding, frozen=True, kw_only=True):
    """What `common` knows about where it runs. Durations are seconds unless typed.

    A required string that only another function needs is "".
    """

    google_cloud_project: str
    location: str
    queue_prefix: str
    queue_groups: tuple[tuple[str, Queues], ...] | None
    cold_queue_rate: float
    default_timezone: ZoneInfo
    firestore_database: str
    firestore_emulator_host: str | None
    cloud_tasks_emulator_host: str | None
    pubsub_emulator_host: str | None
    reminder_url: str
    fanout_url: str
    consumer_url: str | None
    reminder_audience: str
    fanout_audience: str
    tasks_service_account: str
    scheduler_service_account: str
    oidc_issuer: str
    platform_checks_callers: bool
    gce_metadata_host: str
    messaging_url: Hidden[str | None]
    messaging_token: Hidden[str | None]
    provider_key_memory: timedelta
    """Zero with SMTP: a mail server knows no keys."""
    smtp_url: Smtp | None
    message_from: str | None
    message_allow: tuple[str, ...]
    """Addresses and `@domain`s in lower case; empty: everybody."""
    unsubscribe_url: str | None
    unsubscribe_secret: Hidden[str | None]
    handler_budget: float
    function_timeout: float
    lease_seconds: float
    threads: int
    max_attempts: int
    outage_patience: timedelta
    redelivery_attempts: int | None
    redelivery_seconds: float | None
    function_target: str | None
    k_service: str | None

    def __post_init__(self) -> None:
        _check_budget(self)
        _check_redelivery(self)
        _check_messages(self)

    def queues_of(self, name: str) -> Queues:
        """How many queues there are of a name, and their rate."""
        return dict(self.queue_groups or ()).get(name, Queues())


T = TypeVar("T")
Table = TypeVar("Table", covariant=True)


class Reader(Protocol[Table]):
    """Gives this process's settings: read once, at the first call."""

    def __call__(self) -> Table: ...

    def cache_clear(self) -> None:
        """Forget the settings; the next call reads them again. For tests."""


def load(
    table: type[T], variables: Mapping[str, Variable], environ: Mapping[str, str] | None = None
) -> T:
    """The settings in `environ` (None: this process's environment) as an instance of `table`.

    `table` is a Struct; each field is the name of one of `variables` in lower case. The function
    that FUNCTION_TARGET names needs the variables that are `needed_by` it; without FUNCTION_TARGET
    all of them are needed. Raises ConfigurationError: one sentence with the variable and its value.
    """
    environ = os.environ if environ is None else environ
    target = environ.get("FUNCTION_TARGET", "").strip()
    functions = {target} if target else ALL
    values = {
        name: _read(name, variable, environ, functions) for name, variable in variables.items()
    }
    return table(**{name.lower(): value for name, value in values.items()})


def is_function() -> bool:
    """Whether this process runs a function of a bundle: FUNCTION_TARGET is set."""
    return bool(os.environ.get("FUNCTION_TARGET", "").strip())


def reader(table: type[T], variables: Mapping[str, Variable]) -> Reader[T]:
    """A function that gives this process's settings: read once, at its first call.

    In a process that runs a function of the bundle (FUNCTION_TARGET is set) they are read at once,
    and a setting that is missing or malformed ends the process: the sentence that says which one is
    all it prints.
    """
    read = functools.cache(functools.partial(load, table, variables))
    if is_function():
        try:
            read()
        except ConfigurationError as error:
            sys.exit(str(error))
    return read


def _read(name: str, variable: Variable, environ: Mapping[str, str], functions: Set[str]) -> Any:
    text = environ.get(name, "").strip() or variable.default
    if text is None:
        return _unset(name, variable, functions)
    try:
        return variable.parse(text)
    except ValueError as error:
        shown = variable.show(text)
        raise ConfigurationError(f"{name} is {shown}, but must be {error}.") from None


def _unset(name: str, variable: Variable, functions: Set[str]) -> Any:
    # What all functions of the bundle need, one that a user adds needs too.
    needing = ALL if variable.needed_by == ALL else variable.needed_by & functions
    if needing:
        who = ", ".join(sorted(needing))
        raise ConfigurationError(f"{name} is not set, but needed by {who}: {variable.meaning}.")
    return "" if variable.needed_by else None


def _check_budget(settings: Settings) -> None:
    """The work ends before the platform ends it, and that before the claim is over."""
    budget, timeout = settings.handler_budget, settings.function_timeout
    if not budget < timeout < settings.lease_seconds:
        raise ConfigurationError(
            f"HANDLER_BUDGET is {budget:g}, FUNCTION_TIMEOUT {timeout:g} and LEASE_SECONDS "
            f"{settings.lease_seconds:g}, but each must be less than the next."
        )


def _check_redelivery(settings: Settings) -> None:
    """Whoever calls goes on longer than our own attempts, a crash's lease and a day's outage."""
    attempts, seconds = settings.redelivery_attempts, settings.redelivery_seconds
    if attempts is not None and attempts <= settings.max_attempts:
        raise ConfigurationError(
            f"REDELIVERY_ATTEMPTS is {attempts}, but must be more than MAX_ATTEMPTS, "
            f"{settings.max_attempts}."
        )
    needed = DAY + settings.lease_seconds
    if seconds is not None and seconds < needed:
        raise ConfigurationError(
            f"REDELIVERY_SECONDS is {seconds:g}, but a day's outage and a lease of "
            f"{settings.lease_seconds:g} last {needed:g}."
        )


def _check_messages(settings: Settings) -> None:
    if settings.messaging_url and settings.smtp_url:
        raise ConfigurationError("MESSAGING_URL and SMTP_URL are both set, but one must be chosen.")
    if settings.messaging_token and not settings.messaging_url:
        raise ConfigurationError("MESSAGING_TOKEN is set, but MESSAGING_URL is not.")
    if settings.smtp_url and not settings.message_from:
        raise ConfigurationError("MESSAGE_FROM is not set, and SMTP_URL needs it.")
    unsubscribe = settings.unsubscribe_url or ""
    if not unsubscribe.startswith("mailto:") and unsubscribe and not settings.unsubscribe_secret:
        raise ConfigurationError("UNSUBSCRIBE_SECRET is not set, and UNSUBSCRIBE_URL needs it.")


current = reader(Settings, VARIABLES)

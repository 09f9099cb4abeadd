"""The environment, read once and judged at start."""

from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import asdict, replace

from common.errors import ConfigurationError
from common.process import parsers, settings
from common.process.parsers import Smtp
from common.process.variables import ALL, VARIABLES, Variable

ENVIRON = {
    "GOOGLE_CLOUD_PROJECT": "shop",
    "LOCATION": "europe-west1",
    "REMINDER_URL": "https://reminder.example.com",
    "FANOUT_URL": "https://fanout.example.com",
    "REMINDER_AUDIENCE": "https://reminder.example.com",
    "FANOUT_AUDIENCE": "https://fanout.example.com",
    "TASKS_SERVICE_ACCOUNT": "tasks@shop.iam.gserviceaccount.com",
    "SCHEDULER_SERVICE_ACCOUNT": "scheduler@shop.iam.gserviceaccount.com",
}


def load(**changes: str | None) -> settings.Settings:
    """The settings of ENVIRON with changes; None removes."""
    environ = {k: v for k, v in {**ENVIRON, **changes}.items() if v is not None}
    return settings.load(settings.Settings, VARIABLES, environ)


def sentence(**changes: str | None) -> str:
    """What the refusal of ENVIRON with these changes says."""
    with pytest.raises(ConfigurationError) as refused:
        load(**changes)
    return str(refused.value)


def test_every_variable_is_a_field_and_the_reverse() -> None:
    fields = {name.upper() for name in settings.Settings.__struct_fields__}
    assert fields == set(VARIABLES)


def test_every_variable_has_a_meaning_and_a_default_that_parses() -> None:
    for variable in VARIABLES.values():
        assert variable.meaning
        if variable.default:
            variable.parse(variable.default)


def test_what_is_not_set_has_its_default() -> None:
    found = load()
    assert found.firestore_database == "(default)"
    assert found.oidc_issuer == "https://accounts.google.com"
    assert (found.handler_budget, found.function_timeout, found.lease_seconds) == (50, 60, 90)
    assert (found.max_attempts, found.platform_checks_callers) == (5, False)
    assert (found.messaging_url, found.smtp_url) == (None, None)
    assert found.message_allow == ()


@pytest.mark.parametrize("name", sorted(ENVIRON))
def test_what_is_missing_is_named_with_who_needs_it(name: str) -> None:
    assert sentence(**{name: None}).startswith(f"{name} is not set, but needed by ")


def test_blank_is_missing() -> None:
    assert sentence(LOCATION="  ").startswith("LOCATION is not set")
    assert load(MESSAGING_URL=" ").messaging_url is None


def test_values_are_taken_without_the_space_around_them() -> None:
    assert load(LOCATION=" europe-west1\n").location == "europe-west1"


def test_a_variable_nobody_knows_is_ignored() -> None:
    assert load(PATH="/bin", COLOUR="red") == load()


@pytest.mark.parametrize("name", ["FANOUT_URL", "FANOUT_AUDIENCE", "SCHEDULER_SERVICE_ACCOUNT"])
def test_the_consumer_starts_without_what_only_fanout_needs(name: str) -> None:
    found = load(FUNCTION_TARGET="consumer", **{name: None})
    assert getattr(found, name.lower()) == ""
    assert sentence(FUNCTION_TARGET="fanout", **{name: None}).startswith(f"{name} is not set")


def test_a_function_of_the_users_own_needs_what_all_need() -> None:
    assert load(FUNCTION_TARGET="mine", FANOUT_URL=None).function_target == "mine"
    assert sentence(FUNCTION_TARGET="mine", LOCATION=None).startswith("LOCATION is not set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_CLOUD_PROJECT", "my shop"),
        ("REMINDER_URL", "reminder.example.com"),
        ("REMINDER_URL", "ftp://example.com"),
        ("REMINDER_URL", "https://"),
        ("REMINDER_URL", "https://example.com:notaport/"),
        ("FANOUT_URL", "https://exam ple.com"),
        ("TASKS_SERVICE_ACCOUNT", "tasks"),
        ("CLOUD_TASKS_EMULATOR_HOST", "http://localhost:8123"),
        ("OIDC_ISSUER", "http://accounts.example.com"),
        ("PLATFORM_CHECKS_CALLERS", "maybe"),
        ("SMTP_URL", "mail.example.com:25"),
        ("SMTP_URL", "smtp://mail.example.com:0"),
        ("MESSAGE_FROM", "nobody"),
        ("MESSAGE_ALLOW", "example.com"),
        ("UNSUBSCRIBE_URL", "http://example.com/u"),
        ("HANDLER_BUDGET", "2h"),
        ("HANDLER_BUDGET", "-1"),
        ("HANDLER_BUDGET", "nan"),
        ("HANDLER_BUDGET", "0"),
        ("LEASE_SECONDS", "inf"),
        ("MAX_ATTEMPTS", "0"),
        ("MAX_ATTEMPTS", "2.5"),
    ],
)
def test_what_is_malformed_is_named_with_its_value_in_one_sentence(name: str, value: str) -> None:
    said = sentence(**{name: value})
    assert said.startswith(f"{name} is {value!r}, but must be ")
    assert said.count(". ") == 0


def test_a_password_is_never_shown() -> None:
    for url in ("smtp://shop:s3cret@mail?tls=1", "shop:s3cret@mail", "http://mail?key=s3cret"):
        assert "s3cret" not in sentence(SMTP_URL=url)
    assert "s3cret" not in sentence(MESSAGING_URL="//key:s3cret@example.com")
    assert "s3cret" not in sentence(UNSUBSCRIBE_SECRET="s3cret")
    url = "smtp://shop:s3cret@mail.example.com"
    assert "s3cret" not in repr(load(SMTP_URL=url, MESSAGE_FROM="shop@example.com"))


def test_what_may_be_secret_is_not_shown_with_the_settings() -> None:
    secrets = {
        "MESSAGING_URL": "https://example.com/?key=s3cret",
        "MESSAGING_TOKEN": "s3cret",
        "UNSUBSCRIBE_SECRET": "s3cret-s3cret-s3cret-s3cret-s3cret",
    }
    found = load(**secrets)
    assert set(secrets.values()) <= set(asdict(found).values())
    for shown in (repr(found), str(found), repr(found.__rich_repr__())):
        assert "s3cret" not in shown
        assert "europe-west1" in shown


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", Smtp(host="mail", port=25)),
        ("smtp://mail:2525", Smtp(host="mail", port=2525)),
        ("smtp://mail?starttls=yes", Smtp(host="mail", port=587, starttls=True)),
        ("smtp://u:p@mail", Smtp(host="mail", port=587, user="u", password="p", starttls=True)),
        ("smtp://u:p@mail:25?starttls=no", Smtp(host="mail", port=25, user="u", password="p")),
        (
            "smtps://a%40b:p%2Fw@mail",
            Smtp(host="mail", port=465, user="a@b", password="p/w", tls=True),
        ),
    ],
)
def test_a_mail_server_is_what_its_url_says(url: str, server: Smtp) -> None:
    """A password travels encrypted unless the URL says otherwise."""
    found = load(SMTP_URL=url, MESSAGE_FROM="shop@example.com").smtp_url
    assert found == replace(server, password=server.password or "")


def test_mail_needs_a_sender() -> None:
    assert "MESSAGE_FROM is not set" in sentence(SMTP_URL="smtp://mail")


def test_two_ways_out_are_one_too_many() -> None:
    both: dict[str, Any] = {"SMTP_URL": "smtp://mail", "MESSAGING_URL": "https://example.com"}
    assert "MESSAGING_URL and SMTP_URL are both set" in sentence(**both)


def test_an_unsubscribe_page_needs_a_secret_and_a_mailbox_does_not() -> None:
    assert "UNSUBSCRIBE_SECRET is not set" in sentence(UNSUBSCRIBE_URL="https://example.com/u")
    assert load(UNSUBSCRIBE_URL="mailto:stop@example.com").unsubscribe_url


def test_the_allow_list_is_addresses_and_domains() -> None:
    found = load(MESSAGE_ALLOW="Ada@Example.com, @pulsecart.example").message_allow
    assert found == ("ada@example.com", "@pulsecart.example")


@pytest.mark.parametrize(
    "changes", [{"HANDLER_BUDGET": "60"}, {"FUNCTION_TIMEOUT": "90"}, {"LEASE_SECONDS": "55"}]
)
def test_budget_timeout_and_lease_must_grow_in_this_order(changes: dict[str, str]) -> None:
    """Otherwise a claim is taken over while its holder still works."""
    assert "each must be less than the next" in sentence(**changes)
    assert next(iter(changes.values())) in sentence(**changes)


@pytest.mark.parametrize("changes", [{"REDELIVERY_ATTEMPTS": "5"}, {"REDELIVERY_SECONDS": "86489"}])
def test_deliveries_must_outlast_our_attempts_a_lease_and_a_day(changes: dict[str, str]) -> None:
    """Otherwise a message is lost that we have neither done nor dead-lettered."""
    (name, value), *_ = changes.items()
    assert f"{name} is {value}" in sentence(**changes)
    assert load(REDELIVERY_ATTEMPTS="6", REDELIVERY_SECONDS="86490").redelivery_attempts == 6


def test_an_issuer_on_this_machine_may_do_without_tls() -> None:
    assert load(OIDC_ISSUER="http://127.0.0.1:8080/").oidc_issuer == "http://127.0.0.1:8080"


class Clinic(Struct, frozen=True, kw_only=True):
    """The settings of a bundle."""

    text_url: str
    rooms: int | None


CLINIC = {
    "TEXT_URL": Variable(meaning="where texts are posted", parse=parsers.url, needed_by=ALL),
    "ROOMS": Variable(meaning="how many rooms there are", parse=parsers.count),
}


class TestReader:
    def test_a_bundle_has_settings_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEXT_URL", "https://example.com")
        read = settings.reader(Clinic, CLINIC)
        assert read() == Clinic(text_url="https://example.com", rooms=None)

    def test_the_environment_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEXT_URL", "https://example.com")
        read = settings.reader(Clinic, CLINIC)
        before = read()
        monkeypatch.setenv("TEXT_URL", "https://other.example")
        assert read() is before

    def test_it_is_read_again_once_it_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEXT_URL", "https://example.com")
        read = settings.reader(Clinic, CLINIC)
        read()
        monkeypatch.setenv("TEXT_URL", "https://other.example")
        read.cache_clear()
        assert read().text_url == "https://other.example"

    def test_outside_of_a_function_nothing_is_read_before_it_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TEXT_URL", raising=False)
        read = settings.reader(Clinic, CLINIC)
        with pytest.raises(ConfigurationError, match="TEXT_URL is not set"):
            read()

    @pytest.mark.parametrize("target", ["consumer", "mine"])
    def test_a_function_with_a_wrong_setting_ends_with_one_sentence(
        self, target: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FUNCTION_TARGET", target)
        monkeypatch.setenv("TEXT_URL", "example.com")
        with pytest.raises(SystemExit) as ended:
            settings.reader(Clinic, CLINIC)
        assert str(ended.value) == (
            "TEXT_URL is 'example.com', but must be a URL that begins with https:// or http://."
        )

    @pytest.mark.parametrize(("target", "is_one"), [("consumer", True), (" ", False), ("", False)])
    def test_a_process_is_a_functions_if_the_platform_names_one(
        self, target: str, is_one: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FUNCTION_TARGET", target)
        assert settings.is_function() is is_one


def test_settings_can_be_hashed_whatever_is_set(environment: pytest.MonkeyPatch) -> None:
    """Clients are kept by the settings that they were made with."""
    environment.setenv("QUEUE_GROUPS", "news=4@100,other=1@5")
    found = settings.current()
    assert hash(found)
    assert [found.queues_of(it).count for it in ("news", "other", "third")] == [4, 1, 1]

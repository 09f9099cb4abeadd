"""Who may call: tokens of an issuer, and what others try."""

import base64
import functools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.errors import ForbiddenError, TransientError, UnauthorizedError
from common.process.settings import Settings
from common.triggers import oidc
from common.triggers.oidc import Keys
from local.kernel.identity import Issuer
from tests.common.process.test_settings import load
from tests.common.web_server import Answer, serving

AUDIENCE = "https://reminder.example.com"
CALLER = "tasks@shop.iam.gserviceaccount.com"
OTHER = "other@shop.iam.gserviceaccount.com"


@dataclass
class Google:
    """An issuer with its two documents served, which can be down or answer nonsense."""

    issuer: Issuer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> Answer:
        """What a request gets."""
        self.asked.append(path)
        documents = {
            "/.well-known/openid-configuration": self.issuer.discovery(),
            "/jwks": self.issuer.jwks(),
        }
        return self.answers.get(path) or Answer(body=json.dumps(documents[path]).encode())

    def get(self, url: str, *, timeout: object, allow_redirects: bool = True) -> requests.Response:
        """What `requests.get` would return."""
        assert timeout, "an issuer that is silent would hold the call for ever"
        answer = self.answer(url.removeprefix(self.issuer.url))
        if not answer.status:
            raise requests.ConnectionError
        if allow_redirects and "Location" in answer.headers:
            return self.get(answer.headers["Location"], timeout=timeout)
        return _response(answer)

    def token(self, **changes: Any) -> str:
        """A token of the caller for us."""
        return self.issuer.token(**{"email": CALLER, "audience": AUDIENCE, **changes})


class Clock:
    """Time that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@functools.cache
def key_of(owner: str) -> rsa.RSAPrivateKey:
    """A key, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def key() -> rsa.RSAPrivateKey:
    """The issuer's key."""
    return key_of("issuer")


@pytest.fixture
def foreign_key() -> rsa.RSAPrivateKey:
    """Somebody else's key."""
    return key_of("somebody else")


@pytest.fixture
def google(key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> Google:
    """An issuer that can be asked."""
    google = Google(Issuer(url="http://127.0.0.1:1", key=key))
    monkeypatch.setattr(requests, "get", google.get)
    return google


@pytest.fixture
def clock() -> Clock:
    """The clock of the keys."""
    return Clock()


@pytest.fixture
def check(google: Google, clock: Clock) -> Callable[..., str]:
    """The check, with keys of its own."""
    keys = Keys(lambda: oidc.fetch_keys(google.issuer.url), clock=clock)

    def check(token: str | None, **options: Any) -> str:
        header = None if token is None else f"Bearer {token}"
        usual = {"audience": AUDIENCE, "emails": {CALLER}, "config": _settings(google)}
        return oidc.check(header, keys=keys, **{**usual, **options})

    return check


def _settings(google: Google, **changes: str) -> Settings:
    return load(OIDC_ISSUER=google.issuer.url, **changes)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_the_callers_token_tells_who_it_is(google: Google, check: Any) -> None:
    assert check(google.token()) == CALLER


def test_the_scheme_of_the_header_is_read_in_any_case(google: Google) -> None:
    keys = Keys(lambda: oidc.fetch_keys(google.issuer.url))
    header = f"  bearer  {google.token()} "
    options: Any = {"audience": AUDIENCE, "emails": [CALLER], "config": _settings(google)}
    assert oidc.check(header, keys=keys, **options) == CALLER


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "x" * 20_000]
)
def test_no_token_is_unauthorized_and_asks_nobody(google: Google, header: str | None) -> None:
    keys = Keys(lambda: oidc.fetch_keys(google.issuer.url))
    with pytest.raises(UnauthorizedError):
        oidc.check(header, audience=AUDIENCE, emails=[CALLER], config=_settings(google), keys=keys)
    assert google.asked == []


@pytest.mark.parametrize(
    "token", ["abc", "a.b.c", "...", "é.é.é", "bm8.bm8.bm8", "\x00", "e30.e30.", "a" * 17_000]
)
def test_what_is_no_token_is_unauthorized_and_asks_nobody(
    google: Google, check: Any, token: str
) -> None:
    with pytest.raises(UnauthorizedError):
        check(token)
    assert google.asked == []


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "https://fanout.example.com"},
        {"aud": ["https://reminder.example.com", "https://fanout.example.com"]},
        {"aud": f"{AUDIENCE}/"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_unauthorized(
    google: Google, check: Any, claims: Any
) -> None:
    with pytest.raises(UnauthorizedError, match="not valid"):
        check(google.token(**claims))


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -45), ("nbf", 90), ("iat", 90)])
def test_an_expired_or_early_token_is_unauthorized(
    google: Google, check: Any, claim: str, seconds: float
) -> None:
    with pytest.raises(UnauthorizedError, match="not valid"):
        check(google.token(**{claim: time.time() + seconds}))


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -15), ("nbf", 20), ("iat", 20)])
def test_clocks_may_differ_by_half_a_minute(
    google: Google, check: Any, claim: str, seconds: float
) -> None:
    assert check(google.token(**{claim: time.time() + seconds})) == CALLER


@pytest.mark.parametrize(
    "claims",
    [
        {"email": OTHER},
        {"email": CALLER.upper()},
        {"email": None},
        {"email": 7},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
    ],
    ids=str,
)
def test_a_valid_token_of_somebody_else_is_forbidden(
    google: Google, check: Any, claims: Any
) -> None:
    token = _signed(google, {**_decoded(google.token()), **claims})
    with pytest.raises(ForbiddenError):
        check(token)


def _signed(google: Google, claims: dict[str, Any]) -> str:
    """Any claims, signed by the issuer; None leaves one out."""
    kept = {name: value for name, value in claims.items() if value is not None}
    issuer = google.issuer
    return jwt.encode(kept, issuer.key, algorithm="RS256", headers={"kid": issuer.key_id})


def _decoded(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_nobody_may_call_where_nobody_is_named(google: Google, check: Any) -> None:
    with pytest.raises(ForbiddenError):
        check(google.token(), emails=[])
    with pytest.raises(ForbiddenError):
        check(google.token(email=""), emails=[""])


def test_a_token_longer_than_any_real_one_is_not_looked_at(google: Google, check: Any) -> None:
    with pytest.raises(UnauthorizedError):
        check(google.token(extra="x" * 20_000))
    assert google.asked == []


def test_a_token_signed_with_a_foreign_key_is_unauthorized(
    google: Google, check: Any, foreign_key: rsa.RSAPrivateKey
) -> None:
    """Same issuer, same key id, same claims."""
    forger = Issuer(url=google.issuer.url, key=foreign_key)
    with pytest.raises(UnauthorizedError, match="not valid"):
        check(forger.token(email=CALLER, audience=AUDIENCE))


def test_changed_claims_are_unauthorized(google: Google, check: Any) -> None:
    header, _, signature = google.token(email=OTHER).split(".")
    claims = _part(_decoded(google.token()))
    with pytest.raises(UnauthorizedError, match="not valid"):
        check(f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("name", ["none", "None", "HS256", "ES256", "PS256", ""])
def test_only_rs256_is_a_signature(google: Google, check: Any, name: str) -> None:
    header = _part({"alg": name, "typ": "JWT", "kid": google.issuer.key_id})
    claims = _part(_decoded(google.token()))
    with pytest.raises(UnauthorizedError):
        check(f"{header}.{claims}.")
    with pytest.raises(UnauthorizedError):
        check(f"{header}.{claims}.c2ln")


def test_the_public_key_is_no_shared_secret(google: Google, check: Any) -> None:
    """HS256 with the published key as its secret: the classic confusion."""
    pem = google.issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = _part({"alg": "HS256", "typ": "JWT", "kid": google.issuer.key_id})
    signed = f"{header}.{_part(_decoded(google.token()))}"
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(_hmac(mac, signed, pem)).rstrip(b"=").decode()
    with pytest.raises(UnauthorizedError, match="RS256"):
        check(f"{signed}.{signature}")


def _hmac(algorithm: Any, text: str, secret: bytes) -> bytes:
    signed: bytes = algorithm.sign(text.encode(), secret)
    return signed


def test_a_token_cannot_bring_its_own_key(
    google: Google, check: Any, foreign_key: rsa.RSAPrivateKey
) -> None:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(foreign_key.public_key(), as_dict=True)
    headers = {"kid": google.issuer.key_id, "jwk": own, "jku": "http://evil.example/jwks"}
    claims = _decoded(google.token())
    token = jwt.encode(claims, foreign_key, algorithm="RS256", headers=headers)
    with pytest.raises(UnauthorizedError, match="not valid"):
        check(token)


@pytest.mark.parametrize("key_id", [None, 7])
def test_a_token_must_name_its_key(google: Google, check: Any, key_id: object) -> None:
    header = {"alg": "RS256", **({"kid": key_id} if key_id else {})}
    with pytest.raises(UnauthorizedError):
        check(f"{_part(header)}.{_part(_decoded(google.token()))}.c2ln")


def test_the_keys_are_fetched_once(google: Google, check: Any) -> None:
    for _ in range(3):
        check(google.token())
    assert google.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_a_new_key_is_found_when_it_is_first_used(
    google: Google, check: Any, clock: Clock, foreign_key: rsa.RSAPrivateKey
) -> None:
    check(google.token())
    google.issuer = Issuer(url=google.issuer.url, key=foreign_key, key_id="local-2")
    clock.now += oidc.COOLDOWN
    assert check(google.token()) == CALLER


def test_random_key_ids_do_not_make_us_hammer_the_issuer(
    google: Google, check: Any, clock: Clock
) -> None:
    check(google.token())
    for number in range(50):
        clock.now += 1
        google.issuer.key_id = f"random-{number}"
        token = google.token()
        google.issuer.key_id = "local-1"
        with pytest.raises(UnauthorizedError, match="does not have"):
            check(token)
    assert google.asked.count("/jwks") == 1


def test_an_unknown_key_id_is_asked_for_again_after_a_minute(
    google: Google, check: Any, clock: Clock
) -> None:
    for _ in range(3):
        check(google.token())
        clock.now += oidc.COOLDOWN
        with pytest.raises(UnauthorizedError):
            check(Issuer(google.issuer.url, google.issuer.key, "no").token(email="", audience=""))
    assert google.asked.count("/jwks") == 4


def test_keys_are_fetched_anew_after_an_hour(google: Google, check: Any, clock: Clock) -> None:
    check(google.token())
    clock.now += oidc.LIFETIME + 1
    check(google.token())
    assert google.asked.count("/jwks") == 2


def test_a_key_the_issuer_has_withdrawn_counts_no_longer(
    google: Google, check: Any, clock: Clock, foreign_key: rsa.RSAPrivateKey
) -> None:
    old = google.token()
    check(old)
    google.issuer = Issuer(url=google.issuer.url, key=foreign_key, key_id="local-2")
    clock.now += oidc.LIFETIME + 1
    with pytest.raises(UnauthorizedError, match="does not have"):
        check(old)


BROKEN = [
    Answer(status=500),
    Answer(status=404),
    Answer(status=0),
    Answer(status=302, headers={"Location": "http://evil.example/"}),
    Answer(body=b"not json"),
    Answer(body=b"[]"),
    Answer(body=b'{"keys": 7}'),
    Answer(body=b'{"keys": []}'),
]


@pytest.mark.parametrize("path", ["/jwks", "/.well-known/openid-configuration"])
@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: f"{answer.status}{answer.body!r}")
def test_while_the_issuer_is_down_the_known_keys_are_used(
    google: Google, check: Any, clock: Clock, path: str, answer: Answer
) -> None:
    check(google.token())
    google.answers[path] = answer
    clock.now += 10 * oidc.LIFETIME
    assert check(google.token()) == CALLER


@pytest.mark.parametrize("path", ["/jwks", "/.well-known/openid-configuration"])
@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: f"{answer.status}{answer.body!r}")
def test_with_no_keys_at_all_the_call_is_worth_another_try(
    google: Google, check: Any, path: str, answer: Answer
) -> None:
    """Nobody is refused, and nobody let in, because the issuer cannot be asked."""
    google.answers[path] = answer
    with pytest.raises(TransientError):
        check(google.token())


def test_a_dead_issuer_is_not_asked_by_every_call(google: Google, check: Any, clock: Clock) -> None:
    google.answers["/jwks"] = Answer(status=500)
    for _ in range(5):
        with pytest.raises(TransientError):
            check(google.token())
    assert google.asked.count("/jwks") == 1
    google.answers.clear()
    clock.now += oidc.RETRY
    assert check(google.token()) == CALLER


def test_a_refresh_that_failed_is_tried_again_after_a_minute(
    google: Google, check: Any, clock: Clock
) -> None:
    check(google.token())
    google.answers["/jwks"] = Answer(status=500)
    clock.now += oidc.LIFETIME + 1
    check(google.token())
    check(google.token())
    assert google.asked.count("/jwks") == 2
    clock.now += oidc.COOLDOWN
    check(google.token())
    assert google.asked.count("/jwks") == 3


def test_another_issuers_discovery_document_is_not_believed(google: Google, check: Any) -> None:
    other = {**google.issuer.discovery(), "issuer": "https://evil.example"}
    path = "/.well-known/openid-configuration"
    google.answers[path] = Answer(body=json.dumps(other).encode())
    with pytest.raises(TransientError):
        check(google.token())


def test_keys_are_not_fetched_from_wherever_a_redirect_leads(google: Google, check: Any) -> None:
    elsewhere = Answer(status=302, headers={"Location": f"{google.issuer.url}/jwks"})
    google.issuer.discovery = lambda: {  # type: ignore[method-assign]
        "issuer": google.issuer.url,
        "jwks_uri": f"{google.issuer.url}/moved",
    }
    google.answers["/moved"] = elsewhere
    with pytest.raises(TransientError):
        check(google.token())
    assert "/jwks" not in google.asked


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}, {"n": "!"}, {"kid": 7}]
)
def test_a_published_key_of_another_kind_is_passed_over(
    google: Google, check: Any, change: dict[str, Any]
) -> None:
    (good,) = google.issuer.jwks()["keys"]
    keys = {"keys": [{**good, **change}, {**good, "kid": "usable"}, "junk"]}
    google.answers["/jwks"] = Answer(body=json.dumps(keys).encode())
    with pytest.raises(UnauthorizedError, match="does not have"):
        check(google.token())


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_short_key_verifies_nothing(google: Google, check: Any) -> None:
    google.issuer.key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(UnauthorizedError, match="2048"):
        check(google.token())


def test_many_threads_at_a_cold_start_fetch_once(google: Google) -> None:
    release = threading.Event()

    def fetch() -> dict[str, Any]:
        assert release.wait(10)
        return oidc.fetch_keys(google.issuer.url)

    keys, token, found = Keys(fetch), google.token(), []

    def call() -> None:
        options: Any = {"audience": AUDIENCE, "emails": [CALLER], "config": _settings(google)}
        found.append(oidc.check(f"Bearer {token}", keys=keys, **options))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert found == [CALLER] * 8
    assert google.asked.count("/jwks") == 1


def test_nobody_waits_for_a_refresh_who_has_a_key(google: Google, clock: Clock) -> None:
    fetched = oidc.fetch_keys(google.issuer.url)
    fetching, release = threading.Event(), threading.Event()

    def fetch() -> dict[str, Any]:
        if clock.now > 1000:
            fetching.set()
            assert release.wait(10)
        return fetched

    keys = Keys(fetch, clock=clock)
    keys.get("local-1")
    clock.now += oidc.LIFETIME + 1
    refresher = threading.Thread(target=keys.get, args=("local-1",))
    refresher.start()
    assert fetching.wait(10)
    assert keys.get("local-1") is fetched["local-1"]
    release.set()
    refresher.join()


def test_googles_issuer_has_two_names(google: Google) -> None:
    key = google.issuer.key.public_key()
    keys, config = Keys(lambda: {"local-1": key}), load()
    for name in ("https://accounts.google.com", "accounts.google.com"):
        token = google.token(iss=name)
        options: Any = {"audience": AUDIENCE, "emails": [CALLER], "config": config}
        assert oidc.check(f"Bearer {token}", keys=keys, **options) == CALLER


def test_keys_of_an_https_issuer_come_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"issuer": "https://accounts.example", "jwks_uri": "http://accounts.example/jwks"}
    answer = Answer(body=json.dumps(plain).encode())
    monkeypatch.setattr(requests, "get", lambda url, **options: _response(answer))
    with pytest.raises(ValueError, match="https"):
        oidc.fetch_keys("https://accounts.example")


def _response(answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response._content = answer.body
    return response


def test_the_keys_come_from_where_the_issuer_says(key: rsa.RSAPrivateKey) -> None:
    """Over a socket, as from the issuer itself."""
    google = Google(Issuer(url="", key=key))
    with serving(lambda asked: google.answer(asked.path)) as server:
        google.issuer.url = server.url
        assert oidc.fetch_keys(server.url).keys() == {"local-1"}


def _stripped(token: str) -> str:
    return ".".join([*token.split(".")[:2], oidc.REMOVED])


def test_a_token_without_its_signature_is_unauthorized(google: Google, check: Any) -> None:
    with pytest.raises(UnauthorizedError):
        check(_stripped(google.token()))


def test_where_the_platform_has_verified_it_the_signature_may_be_gone(
    google: Google, check: Any
) -> None:
    trusting = _settings(google, PLATFORM_CHECKS_CALLERS="yes")
    assert check(_stripped(google.token()), config=trusting) == CALLER
    assert google.asked == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"email": OTHER}, ForbiddenError),
        ({"email_verified": False}, ForbiddenError),
        ({"audience": "https://fanout.example.com"}, UnauthorizedError),
        ({"iss": "https://evil.example"}, UnauthorizedError),
        ({"exp": 1_700_000_000}, UnauthorizedError),
        ({"nbf": 4_000_000_000}, UnauthorizedError),
        ({"exp": None}, UnauthorizedError),
    ],
    ids=str,
)
def test_its_claims_are_checked_all_the_same(
    google: Google, check: Any, change: Any, error: Any
) -> None:
    trusting = _settings(google, PLATFORM_CHECKS_CALLERS="yes")
    with pytest.raises(error):
        check(_stripped(google.token(**change)), config=trusting)


def test_the_platform_has_not_verified_a_token_beside_another(google: Google, check: Any) -> None:
    """Cloud Run verifies X-Serverless-Authorization then, and leaves Authorization as it came."""
    trusting = _settings(google, PLATFORM_CHECKS_CALLERS="yes")
    with pytest.raises(UnauthorizedError):
        check(_stripped(google.token()), config=trusting, serverless_header="Bearer x")


@pytest.mark.parametrize("end", ["", "forged", "SIGNATURE_REMOVED_BY_GOOGL"])
def test_no_other_end_stands_for_the_platforms_word(google: Google, check: Any, end: str) -> None:
    token = ".".join([*google.token().split(".")[:2], end])
    with pytest.raises(UnauthorizedError):
        check(token, config=_settings(google, PLATFORM_CHECKS_CALLERS="yes"))

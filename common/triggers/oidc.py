"""Who calls: the OIDC token that Cloud Tasks and Cloud Scheduler attach, verified in code.

    no token, or not a valid one of our issuer for us   UnauthorizedError (401)
    a valid one of somebody else                        ForbiddenError (403)
    ours                                                the caller's email

The issuer's keys are found by discovery and kept in the process. They are fetched again after an
hour, and for a key id not seen before, at most once a minute: random key ids must not make us
hammer the issuer. While the issuer is down the known keys go on being used.

Where Cloud Run itself admits only its invokers, it takes the signature off the token it verified
and puts a marker there. With PLATFORM_CHECKS_CALLERS such a token is accepted; its claims are
checked all the same.

The library that verifies tokens is imported by the first call that brings one: `consumer`, which is
in the same source, gets none.
"""

import functools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import requests
from msgspec import Struct

from common.errors import ConfigurationError, ForbiddenError, TransientError, UnauthorizedError
from common.process import logs, settings
from common.process.settings import Settings

ALGORITHMS = ["RS256"]
SKEW = 30
"""Seconds by which clocks may differ. Tokens live in real time."""
LIFETIME = 3600.0
COOLDOWN = 60.0
RETRY = 5.0
"""Seconds: keys are fetched anew after LIFETIME; for an unknown id not within COOLDOWN of the last
attempt; with no keys at all not within RETRY of it."""
TIMEOUT = (3.05, 5.0)
TOKEN_LIMIT = 16_384
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

Fetch = Callable[[], Mapping[str, Any]]


class Keys:
    """An issuer's public keys by id. Used from many threads; one of them fetches."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, Any] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = threading.Lock()

    def get(self, key_id: str) -> Any | None:
        """The key with this id; None if the issuer has none. TransientError: no keys to be had."""
        if self._wanted(key_id):
            self._refresh(key_id)
        if not self._keys:
            raise TransientError("The keys of the token issuer cannot be fetched.")
        return self._keys.get(key_id)

    def _wanted(self, key_id: str) -> bool:
        """Whether to fetch: never had any, had these for long, or do not know this one."""
        if not self._keys:
            return self._rested(RETRY)
        old = self._fetched is None or self._clock() - self._fetched > LIFETIME
        return (old or key_id not in self._keys) and self._rested(COOLDOWN)

    def _rested(self, seconds: float) -> bool:
        return self._tried is None or self._clock() - self._tried >= seconds

    def _refresh(self, key_id: str) -> None:
        # Whoever can do with the keys at hand does not wait for the one who fetches.
        if not self._lock.acquire(blocking=key_id not in self._keys):
            return
        try:
            if self._wanted(key_id):  # perhaps somebody fetched while we waited
                self._replace()
        finally:
            self._lock.release()

    def _replace(self) -> None:
        try:
            self._keys = self._fetch() or self._keys
            self._fetched = self._clock()
        except (requests.RequestException, ValueError) as error:
            logs.warning("failed", f"Fetching the token issuer's keys failed: {error}")
        finally:
            self._tried = self._clock()


class Callers(Struct, frozen=True, kw_only=True):
    """Who may call a function."""

    audience: str
    """That of the tokens which the callers bring."""
    emails: Collection[str]
    """Their accounts."""
    keys: Keys | None = None
    """The keys of the issuer of the tokens; None: those that this process fetches."""


def callers_of(function: str, config: Settings | None = None) -> Callers:
    """Who may call a function of the bundle: Cloud Tasks, and Cloud Scheduler for `fanout`.

    Raises ConfigurationError for a function of another name; it names its callers itself.
    """
    config = config or settings.current()
    tasks, scheduler = config.tasks_service_account, config.scheduler_service_account
    match function:
        case "reminder":
            return Callers(audience=config.reminder_audience, emails=[tasks])
        case "fanout":
            return Callers(audience=config.fanout_audience, emails=[scheduler, tasks])
    raise ConfigurationError(f"Nothing says who may call {function!r}.")


def check(
    authorization_header: str | None,
    *,
    audience: str,
    emails: Collection[str],
    serverless_header: str | None = None,
    config: Settings | None = None,
    keys: Keys | None = None,
) -> str:
    """The email of the caller, who must be one of `emails` and have a token for `audience`.

    `serverless_header` is X-Serverless-Authorization, which the platform verifies in preference.
    Raises UnauthorizedError, ForbiddenError, or TransientError when no keys can be had.
    """
    config = config or settings.current()
    token = _token(authorization_header)
    if config.platform_checks_callers and token.endswith(f".{REMOVED}") and not serverless_header:
        claims = _claims(token, None, audience, config.oidc_issuer)
    else:
        keys = keys or issuer_keys(config.oidc_issuer)
        claims = _claims(token, _key(token, keys), audience, config.oidc_issuer)
    return _caller(claims, emails)


@functools.cache
def issuer_keys(issuer: str) -> Keys:
    """This process's keys of an issuer."""
    return Keys(functools.partial(fetch_keys, issuer))


def fetch_keys(issuer: str) -> dict[str, Any]:
    """The RS256 keys an issuer publishes. Raises requests.RequestException or ValueError."""
    discovery = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    uri = discovery.get("jwks_uri")
    if discovery.get("issuer") != issuer or not isinstance(uri, str):
        raise ValueError("the discovery document is not this issuer's")
    if issuer.startswith("https:") and not uri.startswith("https:"):
        raise ValueError("the keys are not at an https address")
    published = _get(uri).get("keys")
    found = [_loaded(key) for key in published] if isinstance(published, list) else []
    return dict(key for key in found if key)


def _get(url: str) -> dict[str, Any]:
    response = requests.get(url, timeout=TIMEOUT, allow_redirects=False)
    response.raise_for_status()
    document = response.json()
    if response.status_code != 200 or not isinstance(document, dict):
        raise ValueError(f"{url} answered {response.status_code}, not a JSON object")
    return document


def _loaded(key: Any) -> tuple[str, Any] | None:
    """Key id and key; None for what is not for verifying RS256 signatures."""
    if not isinstance(key, dict) or not isinstance(key.get("kid"), str):
        return None
    if key.get("use", "sig") != "sig" or key.get("alg", "RS256") != "RS256" or "d" in key:
        return None
    import jwt
    from jwt.algorithms import RSAAlgorithm

    try:
        return key["kid"], RSAAlgorithm.from_jwk(key)
    except (jwt.InvalidKeyError, ValueError, TypeError):
        return None


def _token(header: str | None) -> str:
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > TOKEN_LIMIT:
        raise UnauthorizedError("No bearer token came with the call.")
    return token.strip()


def _key(token: str, keys: Keys) -> Any:
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise UnauthorizedError("The token is malformed.") from error
    key_id = header.get("kid")
    # Asked before any key is fetched, and again by the verification.
    if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
        raise UnauthorizedError("The token is not signed with RS256 and a named key.")
    key = keys.get(key_id)
    if key is None:
        raise UnauthorizedError("The token is signed with a key its issuer does not have.")
    return key


def _claims(token: str, key: Any | None, audience: str, issuer: str) -> dict[str, Any]:
    """The claims, verified; with no key, all but the signature, which the platform has verified."""
    import jwt

    try:
        return jwt.decode(
            token,
            key or "",
            algorithms=ALGORITHMS,
            audience=audience,
            issuer=_names(issuer),
            leeway=SKEW,
            options={
                "require": ["exp", "iat", "iss", "aud"],
                "verify_signature": key is not None,
                "verify_exp": True,
                "verify_iat": True,
                "verify_nbf": True,
                "verify_iss": True,
                "verify_aud": True,
                "strict_aud": True,
                "enforce_minimum_key_length": True,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise UnauthorizedError(f"The token is not valid: {error}.") from error


def _names(issuer: str) -> list[str]:
    """Google writes itself with and without the scheme."""
    google = "https://accounts.google.com"
    return [issuer, "accounts.google.com"] if issuer == google else [issuer]


def _caller(claims: Mapping[str, Any], emails: Collection[str]) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
        raise ForbiddenError("The token names no verified email.")
    if email not in set(emails):
        raise ForbiddenError(f"{email} may not call this.")
    return email

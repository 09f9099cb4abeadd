"""The local token issuer: real RS256 OIDC tokens, so the code that checks them is production's."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from local.kernel.database import Database

LIFETIME = 3600
"""Seconds a token lives. Tokens are signed in real time, whatever the virtual clock says."""


class Issuer:
    """Signs tokens as `url`; its discovery document and keys are served at that address."""

    def __init__(
        self,
        url: str,
        key: rsa.RSAPrivateKey | Callable[[], rsa.RSAPrivateKey],
        key_id: str = "local-1",
    ) -> None:
        """`key`: or what makes or reads it, when it is first needed."""
        self.url = url
        self.key_id = key_id
        self._key = key

    @functools.cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """The private key that signs."""
        return self._key() if callable(self._key) else self._key

    def token(self, *, email: str, audience: str, **claims: Any) -> str:
        """Return a signed ID token, as the platform attaches one for a service account.

        `claims` override or add (None removes), for tests of what must be refused.
        """
        now = int(time.time())
        body = {
            "iss": self.url,
            "aud": audience,
            "azp": email,
            "sub": email,
            "email": email,
            "email_verified": True,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            **claims,
        }
        body = {k: v for k, v in body.items() if v is not None}
        return jwt.encode(body, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def discovery(self) -> dict[str, Any]:
        """Return the document of `/.well-known/openid-configuration`."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def jwks(self) -> dict[str, Any]:
        """Return the public keys, the document at `jwks_uri`."""
        key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}


class Tokens:
    """Fresh tokens for attempts.

    Signing is deterministic and a token's times are whole seconds, so within a second the same
    service account and audience get the same bytes, signed once.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._second = 0
        self._signed: dict[tuple[str, str], str] = {}

    def token(self, email: str, audience: str) -> str:
        """Return a signed ID token issued this second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._signed = second, {}
        if (email, audience) not in self._signed:
            self._signed[email, audience] = self._issuer.token(email=email, audience=audience)
        return self._signed[email, audience]


def open_issuer(database: Database, url: str) -> Issuer:
    """Return the issuer at `url`; its key is made once, when a token or a key is first asked for
    (which takes a fifth of a second), and kept in the database."""
    return Issuer(url=url, key=lambda: _kept_key(database))


def _kept_key(database: Database) -> rsa.RSAPrivateKey:
    pem = database.get("identity.key")
    if pem is None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        database.put("identity.key", pem)
    loaded = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded

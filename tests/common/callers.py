"""Callers of a function: an issuer of tokens whose keys need not be fetched."""

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from common.triggers.oidc import Callers, Keys
from local.kernel.identity import Issuer

AUDIENCE, CALLER = "https://reminder.example.com", "tasks@example.com"
GOOGLE = "https://accounts.google.com"
ISSUER = Issuer(url=GOOGLE, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
KEYS = Keys(lambda: {ISSUER.key_id: RSAAlgorithm.from_jwk(ISSUER.jwks()["keys"][0])})
CALLERS = Callers(audience=AUDIENCE, emails=[CALLER], keys=KEYS)
"""Who may call."""


def bearer(email: str = CALLER, audience: str = AUDIENCE) -> str:
    """The Authorization header of a caller."""
    return f"Bearer {ISSUER.token(email=email, audience=audience)}"

"""OIDC tokens: every attempt carries one that production's check accepts."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from tests.local.services.tasks.tasks_cloud import Cloud

EMAIL = "tasks@shop.iam.gserviceaccount.com"


def _claims(cloud: Cloud, hit: Any, audience: Any) -> Any:
    scheme, _, token = hit.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    header = jwt.get_unverified_header(token)
    keys = {key["kid"]: key for key in cloud.issuer.jwks()["keys"]}
    key = jwt.PyJWK(keys[header["kid"]]).key
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience)


def _sent(cloud: Cloud, path: str = "/work", **token: Any) -> Any:
    cloud.task(cloud.queue(), path, oidc_token={"service_account_email": EMAIL, **token})
    cloud.idle()
    return cloud.target.hits[-1]


def test_the_default_audience_is_the_whole_url(cloud: Cloud) -> None:
    hit = _sent(cloud, "/work?a=1&b=2")
    claims = _claims(cloud, hit, f"{cloud.target.url}/work?a=1&b=2")
    assert (claims["iss"], claims["email"]) == (cloud.issuer.url, EMAIL)
    assert claims["email_verified"] is True
    assert claims["iat"] <= time.time() < claims["exp"]


def test_a_given_audience_is_used(cloud: Cloud) -> None:
    hit = _sent(cloud, audience="https://shop.test")
    assert _claims(cloud, hit, "https://shop.test")["aud"] == "https://shop.test"
    with pytest.raises(jwt.InvalidAudienceError):
        _claims(cloud, hit, f"{cloud.target.url}/work")


def test_every_attempt_has_a_token_of_its_own_time(cloud: Cloud) -> None:
    async def refuse_a_second_later(request: Any) -> Any:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        issued = jwt.decode(token, options={"verify_signature": False})["iat"]
        while int(time.time()) <= issued:
            await asyncio.sleep(0.01)
        return 401

    cloud.target.script["/work"].append(refuse_a_second_later)
    _sent(cloud, audience="a")
    cloud.advance(1)
    first, again = (_claims(cloud, hit, "a")["iat"] for hit in cloud.target.hits)
    assert again > first


def test_a_token_replaces_the_callers_authorization(cloud: Cloud) -> None:
    token = {"service_account_email": EMAIL}
    cloud.task(cloud.queue(), headers={"authorization": "Bearer mine"}, oidc_token=token)
    cloud.idle()
    (value,) = cloud.target.hits[0].headers.getall("Authorization")
    assert value != "Bearer mine"


def test_without_a_token_the_callers_authorization_is_sent(cloud: Cloud) -> None:
    cloud.task(cloud.queue(), headers={"Authorization": "Bearer mine"})
    cloud.idle()
    assert cloud.target.hits[0].headers["Authorization"] == "Bearer mine"


def test_a_queues_token_overrides_its_tasks(cloud: Cloud) -> None:
    override = {"oidc_token": {"service_account_email": "queue@x.test", "audience": "queue"}}
    queue = cloud.queue(http_target=override)
    cloud.task(queue, oidc_token={"service_account_email": EMAIL, "audience": "task"})
    cloud.idle()
    assert _claims(cloud, cloud.target.hits[0], "queue")["email"] == "queue@x.test"

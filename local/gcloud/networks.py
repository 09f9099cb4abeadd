"""The flags of `gcloud functions deploy` for a private network and a key of one's own.

Both are checked as real gcloud checks them, kept and given back. Functions here reach what this
machine reaches, and nothing is encrypted.
"""

import re
from typing import Any

from local.gcloud.command import Call
from local.gcloud.errors import GcloudError, UsageError

FLAGS = (
    *("--vpc-connector", "--clear-vpc-connector", "--egress-settings"),
    *("--kms-key", "--clear-kms-key"),
)
EGRESS = {"all": "ALL_TRAFFIC", "private-ranges-only": "PRIVATE_RANGES_ONLY"}
KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[\w-]+/cryptoKeys/[\w-]+", re.ASCII)
BAD_KEY = (
    "KMS key name should match projects/{project}/locations/{location}/keyRings/{keyring}"
    "/cryptoKeys/{cryptokey} and only contain characters from the valid character set for a KMS "
    "key."
)
CONNECTOR = "serviceConfig.vpcConnector"
EGRESS_OF = "serviceConfig.vpcConnectorEgressSettings"


def service(call: Call, present: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the part of `serviceConfig` that is about the network, and the paths that change."""
    if call.given("--clear-vpc-connector"):
        return {}, [CONNECTOR, EGRESS_OF]
    connector = _connector(call)
    body: dict[str, Any] = {"vpcConnector": connector} if connector else {}
    mask = [CONNECTOR] if connector else []
    if call.given("--egress-settings"):
        if not connector and not present.get("vpcConnector"):
            raise GcloudError(
                "Missing required argument [vpc-connector]: Flag `--vpc-connector` is required for "
                "setting `--egress-settings`."
            )
        body["vpcConnectorEgressSettings"] = EGRESS[call.flag("--egress-settings")]
        mask.append(EGRESS_OF)
    return body, mask


def key(call: Call, old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the key that encrypts a function, and its path if that changes."""
    if call.given("--clear-kms-key"):
        return {}, ["kmsKeyName"]
    name = call.flag("--kms-key") or old.get("kmsKeyName", "")
    has_images = call.given("--docker-repository") or old.get("buildConfig", {}).get(
        "dockerRepository"
    )
    if name and not has_images:
        raise GcloudError(
            "Missing required argument [--docker-repository]: A Docker repository must be "
            "specified when a KMS key is configured for the function."
        )
    if not call.given("--kms-key"):
        return {}, []
    _check_key(name, call.flag("--region"))
    return {"kmsKeyName": name}, ["kmsKeyName"]


def _connector(call: Call) -> str:
    """The full name: a short one is of the function's own project and region."""
    name = call.flag("--vpc-connector")
    if not name or "/" in name:
        return name
    return f"{call.parent('--region')}/connectors/{name}"


def _check_key(name: str, region: str) -> None:
    found = KEY.fullmatch(name)
    if not found:
        raise UsageError(f"argument --kms-key: Bad value [{name}]: {BAD_KEY}")
    if found[1] == "global":
        raise GcloudError("Invalid value for [--kms-key]: Global KMS keyrings are not allowed.")
    if found[1] != region:
        raise GcloudError(
            "Invalid value for [--kms-key]: KMS keyrings should be created in the same region as "
            "the function."
        )

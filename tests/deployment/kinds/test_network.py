"""A private network and a key of one's own: optional, read back, mended, and refused in time."""

import json
import re

import pytest

from deployment.errors import RefusedError, UsageError
from tests.deployment.conftest import ROOT, Shell
from tests.deployment.project import PROJECT, REGION

KEY = f"projects/keys/locations/{REGION}/keyRings/shop/cryptoKeys/functions"
CONNECTOR = f"projects/{PROJECT}/locations/{REGION}/connectors/shop-vpc"
ROW = f"""
[environments.inside]
project = "{PROJECT}"
region = "{REGION}"
database = "(default)"
vpc_connector = "shop-vpc"
egress = "all"
kms_key = "{KEY}"
"""
SURFACE = json.loads((ROOT / "local" / "gcloud" / "surface.json").read_text())["commands"]


@pytest.fixture
def inside(shell: Shell) -> Shell:
    """An environment with a connector and a key, deployed."""
    shell.table += ROW
    shell.name = "inside"
    shell.apply()
    return shell


def test_every_function_has_the_network_and_the_key(inside: Shell) -> None:
    for found in inside.project.of("function").values():
        config = found["serviceConfig"]
        network = config["vpcConnector"], config["vpcConnectorEgressSettings"]
        assert (*network, found["kmsKeyName"]) == (CONNECTOR, "ALL_TRAFFIC", KEY)
    assert inside.project.of("repository")["pulsecart-images"]["kmsKeyName"] == KEY
    assert inside.lines() == []


def test_an_environment_without_them_says_nothing_of_them(deployed: Shell) -> None:
    words = [word for call in deployed.project.changes for word in call]
    assert not [word for word in words if "vpc" in word or "kms" in word or "egress" in word]


@pytest.mark.parametrize(
    ("old", "new", "line", "flag"),
    [
        ('"all"', '"private-ranges-only"', "egress-settings: is all, will be private-ranges", ""),
        ('egress = "all"\n', "", "egress-settings: is all, will be private-ranges-only", ""),
        (
            'vpc_connector = "shop-vpc"\negress = "all"\n',
            "",
            "vpc-connector: is projects/my-project/locations/",
            "--clear-vpc-connector",
        ),
    ],
)
def test_what_the_row_says_is_compared_and_sent(
    inside: Shell, old: str, new: str, line: str, flag: str
) -> None:
    inside.table = inside.table.replace(old, new)
    assert [it for it in inside.lines() if line in it]
    inside.apply()
    sent = [word for call in inside.project.changes for word in call]
    assert not flag or flag in sent
    assert inside.lines() == []


def test_a_key_is_not_exchanged_by_the_way(inside: Shell) -> None:
    """A repository keeps the key that it was made with."""
    inside.edit(f'kms_key = "{KEY}"\n', "")
    before = inside.project.snapshot()
    with pytest.raises(RefusedError, match="repository pulsecart-images has the key projects/keys"):
        inside.apply()
    assert inside.project.snapshot() == before


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"shop-vpc"', '"Shop VPC"', "environments.inside.vpc_connector: is 'Shop VPC'"),
        ('vpc_connector = "shop-vpc"\n', "", "environments.inside.egress: needs a vpc_connector"),
        ('"all"', '"none"', "environments.inside.egress: is 'none', but must be private-ranges"),
        (KEY, "functions", "environments.inside.kms_key: is 'functions', but must be like proj"),
        ("keys/locations/europe-west1", "keys/locations/global", "kms_key: is in global, but must"),
        (
            '"shop-vpc"',
            f'"{CONNECTOR.replace(REGION, "us-east1")}"',
            "environments.inside.vpc_connector: is in us-east1, but must be in europe-west1",
        ),
        ('ingress = "internal-only"', 'ingress = "internal"', "consumer.ingress: is 'internal'"),
    ],
)
def test_a_malformed_one_is_refused_by_its_path(
    shell: Shell, old: str, new: str, text: str
) -> None:
    shell.table = (shell.table + ROW).replace(old, new, 1)
    shell.name = "inside"
    with pytest.raises(UsageError, match=re.escape(text)):
        shell.checked()


def test_gcloud_has_the_flags() -> None:
    deploy, create = SURFACE["functions deploy"], SURFACE["artifacts repositories create"]
    flags = {"--vpc-connector", "--clear-vpc-connector", "--egress-settings", "--kms-key"}
    assert flags | {"--clear-kms-key"} <= set(deploy["flags"])
    assert "--kms-key" in create["flags"]

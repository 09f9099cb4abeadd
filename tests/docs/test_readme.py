"""The README says what the code does, and the code does what the README says."""

import re
import subprocess

from tests.docs.scratch import ROOT
from tests.docs.test_contributing import ROOMS
from tests.test_architecture import MAY_IMPORT

README = (ROOT / "README.md").read_text()


def test_every_function_is_in_the_readme() -> None:
    files = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"__init__"}
    told = set(re.findall(r"^\| `([a-z]+)` \| (?:Pub/Sub|Cloud)", README, re.MULTILINE))
    assert told == files


def test_every_verb_of_the_local_cloud_in_the_readme_is_in_its_help() -> None:
    help_text = _run("local", "--help")
    verbs = re.search(r"lists its verbs\s+\((.+?), …\)", README, re.DOTALL)
    assert verbs
    for verb in re.findall(r"`(\w+)", verbs[1]):
        assert f"local {verb}" in help_text


def test_every_command_of_deploy_sh_in_the_readme_is_in_its_help() -> None:
    help_text = _run("--help")
    for command in ("plan", "apply", "destroy", "local"):
        assert f"deploy.sh {command}" in help_text
        assert f"`{command}`" in README or f"deploy.sh {command}" in README


def test_the_table_of_rooms_is_that_of_the_architecture() -> None:
    rows = re.findall(r"^\| `([\w./]+)` \| [^|]+ \| ([^|]+) \|$", README, re.MULTILINE)
    told = {
        name.removesuffix(".py").strip("/"): set(re.findall(r"`(\w+)`", it)) for name, it in rows
    }
    rooms = {name: allowed for name, allowed in MAY_IMPORT.items() if "." not in name}
    expected = {**rooms, "common": set(), "deployment": set(), "local": set()}
    assert {name: told[name] for name in expected} == expected


def test_the_rooms_of_common_are_in_the_order_of_their_imports() -> None:
    told = re.search(r"`common/` \| ([^|]+) \|", README)
    assert told
    assert re.findall(r"\w+", told[1]) == list(ROOMS)


def test_the_promise_about_outside_effects_is_in_these_words() -> None:
    promise = (
        "With one that does not (SMTP): once, unless we cannot learn or record the provider's yes "
        "(reply lost, process killed or paused past its lease, Firestore unreachable at that "
        "moment); then it is sent again, or, where the handler says `hold`, dead-lettered as "
        "unknown"
    )
    assert promise in " ".join(README.split())


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= 160


def _run(*arguments: str) -> str:
    command = [str(ROOT / "deploy.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout

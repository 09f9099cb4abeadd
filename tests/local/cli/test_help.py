"""The help of the script, the help of the verbs and the README say the same."""

import re
from pathlib import Path

from local.__main__ import parser
from local.cli import commands

LOCAL = Path(__file__).parents[3] / "local"
SCRIPT = (LOCAL / "run.sh").read_text()
README = (LOCAL / "README.md").read_text()


def verbs() -> dict[str, set[str]]:
    """Verb → its options, as the command line takes them."""
    [choices] = (action.choices for action in parser()._actions if action.dest == "command")
    assert choices
    found = {}
    for name, verb in dict(choices).items():
        found[name] = {option for a in verb._actions for option in a.option_strings}
    return found


def test_the_script_hands_on_the_verbs_there_are() -> None:
    [handed_on] = re.findall(r"^ +((?:\w+ \| )+\w+)\)$", SCRIPT, re.MULTILINE)
    assert set(handed_on.split(" | ")) == {verb.__name__ for verb in commands.VERBS}


def test_script_and_readme_show_every_verb() -> None:
    names = {verb.__name__ for verb in commands.VERBS}
    shown = set(re.findall(r"^#   \./deploy\.sh local (\w+)", SCRIPT, re.MULTILINE))
    assert shown - {"show"} == names  # with `show` begins the line of the operations
    assert set(re.findall(r"`… (\w+)", README)) == names


def test_every_option_that_script_and_readme_show_is_understood() -> None:
    known = verbs()
    rows = re.findall(
        r"(?:^#   \./deploy\.sh local|`…) (\w+)([^`\n]*)", SCRIPT + README, re.MULTILINE
    )
    shown = {(verb, option) for verb, rest in rows for option in re.findall(r"--[a-z-]+", rest)}
    assert ("publish", "--attribute") in shown
    assert all(option in known[verb] for verb, option in shown)


def test_every_verb_can_answer_with_one_document() -> None:
    known = verbs()
    assert all("--json" in known[verb.__name__] for verb in commands.VERBS)


def test_the_servers_of_somebody_else_are_in_script_and_readme() -> None:
    for option in ("--firestore", "--pubsub", "--tasks"):
        assert option in verbs()["up"]
        assert option in SCRIPT
        assert option in README

"""The environment is the first operand, or an option names it; what is wrong is one sentence."""

import argparse

import pytest

from operations.__main__ import parser
from operations.terminal import command_line


def parsed(line: str) -> argparse.Namespace:
    return command_line.parsed(parser(), line.split())


@pytest.mark.parametrize(
    "line",
    [
        "show shop e-1",
        "show --json shop e-1",
        "show shop --json e-1",
        "show e-1 --env shop",
        "show --env shop e-1",
        "show --env=shop -- e-1",
    ],
)
def test_the_environment_is_the_first_word_or_an_option(line: str) -> None:
    given = parsed(line)
    assert (given.env, given.id) == ("shop", "e-1")


def test_a_project_stands_for_the_environment() -> None:
    given = parsed("show e-1 --project p --region r")
    assert (given.env, given.project, given.region, given.id) == ("", "p", "r", "e-1")


@pytest.mark.parametrize(
    "line",
    [
        "dead-letters replay shop a b --rate 5",
        "dead-letters replay shop a --rate 5 b",
        "dead-letters replay --rate 5 a b --env shop",
    ],
)
def test_several_letters_are_named_wherever_the_options_stand(line: str) -> None:
    given = parsed(line)
    assert (given.env, given.ids, given.rate) == ("shop", ["a", "b"], 5)


@pytest.mark.parametrize("line", ["doctor shop", "console shop", "reminders list shop"])
def test_a_command_without_an_operand_takes_the_environment_alone(line: str) -> None:
    assert parsed(line).env == "shop"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("doctor", "name an environment: ENV, or --project P --region R"),
        ("show shop", "expected one ID, and not 0"),
        ("show shop a b", "expected one ID, and not 2"),
        ("doctor shop b", "unrecognized arguments: b"),
        ("doctor shop --jsn", "unrecognized arguments: --jsn"),
        ("dead-letters list shop --limit 0", "argument --limit: '0' is no number from 1 on"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_64(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(line)
    assert ended.value.code == 64
    assert capsys.readouterr().err.startswith(f"deploy.sh: {sentence}; see ./deploy.sh ")


def test_the_help_of_a_command_shows_its_operands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("dead-letters replay --help")
    assert capsys.readouterr().out.startswith(
        "usage: ./deploy.sh dead-letters replay ENV ID… [OPTIONS]\n"
    )

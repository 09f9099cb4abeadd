"""How the blocks of a document are carried out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import Block
from tests.docs.scratch import Scratch, changed, commands, matches


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """One copy for all: each test uses files of its own."""
    with Scratch(tmp_path_factory.mktemp("scratch")) as made:
        yield made


@pytest.fixture
def run(scratch: Scratch) -> Callable[..., None]:
    """Runs a block of a language."""

    def carry_out(language: str, text: str, title: str = "") -> None:
        scratch.run(Block(language=language, text=text, line=1, title=title))

    return carry_out


def test_python_is_run_in_a_process_and_a_namespace_of_its_own(run: Callable[..., None]) -> None:
    run("python", "x = 1\n")
    with pytest.raises(AssertionError, match="name 'x' is not defined"):
        run("python", "print(x)\n")


def test_an_example_gets_no_settings(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCATION", "here")
    run("python", "import os\nassert 'LOCATION' not in os.environ\n")


def test_python_with_tests_is_run_by_pytest(run: Callable[..., None]) -> None:
    run("python", "def test_it():\n    assert True\n")
    with pytest.raises(AssertionError, match="1 failed"):
        run("python", "def test_it():\n    assert False\n")


def test_a_block_with_a_title_is_a_file_for_those_behind_it(run: Callable[..., None]) -> None:
    run("python", "VALUE = 7\n", title="functions/seven.py")
    run("python", "from functions.seven import VALUE\n\nassert VALUE == 7\n")


def test_a_file_that_exists_is_not_written_over(run: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match=r"main.py exists: show its change as a diff"):
        run("python", "x = 1\n", title="main.py")


def test_a_diff_changes_a_file(scratch: Scratch, run: Callable[..., None]) -> None:
    run("text", "one\nthree\n", title="numbers.txt")
    run("diff", " one\n+two\n three\n", title="numbers.txt")
    assert (scratch.folder / "numbers.txt").read_text() == "one\ntwo\nthree\n"


def test_a_diff_of_what_is_not_in_the_file_is_an_error() -> None:
    with pytest.raises(AssertionError, match="0 times"):
        changed("one\n", " two\n+three\n")
    with pytest.raises(AssertionError, match="2 times"):
        changed("one\none\n", " one\n+two\n")


def test_a_diff_can_take_lines_away() -> None:
    assert changed("a\nb\nc\n", " a\n-b\n+B\n") == "a\nB\nc\n"


def test_a_diff_can_have_several_parts() -> None:
    assert changed("a\nb\nc\n", "+0\n a\n@@\n c\n+d\n") == "0\na\nb\nc\nd\n"


def test_what_the_blocks_leave_is_held_to_the_rules(
    scratch: Scratch, run: Callable[..., None]
) -> None:
    scratch.lint()
    run("text", "import os\n", title="functions/unused.py")
    with pytest.raises(AssertionError, match="F401"):
        scratch.lint()
    (scratch.folder / "functions" / "unused.py").unlink()


def test_a_command_prints_what_is_shown(run: Callable[..., None]) -> None:
    run("console", "$ echo one\none\n$ echo two\ntwo\n")
    with pytest.raises(AssertionError, match="is not what is shown"):
        run("console", "$ echo one\ntwo\n")


def test_a_command_that_fails_is_an_error(run: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match="echo one; false"):
        run("console", "$ echo one; false\none\n")
    with pytest.raises(AssertionError, match="exit 3"):
        run("sh", "exit 3\n")


@pytest.mark.parametrize(
    ("language", "text"), [("json", "{"), ("toml", "= 1"), ("diff", "+x\n"), ("perl", "1")]
)
def test_what_cannot_be_read_is_an_error(
    run: Callable[..., None], language: str, text: str
) -> None:
    with pytest.raises((AssertionError, ValueError)):
        run(language, text)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a\n…\nb", "a\nx\ny\nb"),
        ("a\n…\nb", "a\nb"),
        ("a\n…", "a"),
        ("…\nb", "a\nb"),
        ("took … s", "took 1.5 s"),
        ("a", "a  \n\n"),
        ("(a.b)*", "(a.b)*"),
        ("", ""),
    ],
)
def test_an_ellipsis_stands_for_anything(shown: str, printed: str) -> None:
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [("a", "a\nb"), ("a\n…\nc", "a\nb"), ("", "x"), ("a b", "a\nb")]
)
def test_what_is_shown_without_an_ellipsis_is_meant(shown: str, printed: str) -> None:
    assert not matches(shown, printed)


def test_a_command_goes_on_while_a_quotation_is_open() -> None:
    text = "$ publish '{\n  \"a\": 1}'\npublished\n$ one \\\n  two\n"
    assert commands(text) == [
        ("publish '{\n  \"a\": 1}'", "published\n"),
        ("one \\\n  two", ""),
    ]


def test_output_without_a_command_is_an_error() -> None:
    with pytest.raises(ValueError, match="no command"):
        commands("ready\n")


@pytest.mark.slow
def test_the_local_cloud_runs_until_the_section_ends(tmp_path: Path) -> None:
    block = "$ ./deploy.sh local\n…\nready\n…\n$ ./deploy.sh local idle\nidle at …\n"
    with Scratch(tmp_path) as scratch:
        scratch.run(Block(language="console", text=block, line=1))
        state = scratch.folder / ".local" / "env"
        assert state.exists()
    assert not state.exists()

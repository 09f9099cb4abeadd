"""The virtual environment is set up when it has to be, and only then; nothing else is deleted."""

import errno
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from local.setup import venv as setup

SCRIPT = Path(__file__).parents[3] / "local" / "venv.sh"
NOTHING = "# nothing\n"
OLD = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "base.txt").write_text(NOTHING)
    (tmp_path / "more.txt").write_text("-r base.txt\n")
    return tmp_path / "more.txt"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that somebody made without pip, with a file of theirs in it."""
    home = tmp_path_factory.mktemp("theirs") / "an environment"
    venv.create(home, symlinks=True)
    (home / "notes.txt").write_text("mine")
    return home


def begun(file: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, file],
        env={**os.environ, **environment},
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    with begun(file, **environment) as process:
        stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def refused(file: Path, home: Path | str) -> str:
    """What is said, on one line, instead of setting up."""
    done = run(file, LOCAL_VENV=str(home))
    assert (done.returncode, done.stdout) == (1, "")
    [sentence] = done.stderr.splitlines()
    return sentence


def test_requirements_include_those_they_name(requirements: Path) -> None:
    assert setup.included(requirements) == [requirements, requirements.parent / "base.txt"]


def test_a_change_in_an_included_file_is_a_change(requirements: Path) -> None:
    before = setup.fingerprint(Path("/v"), requirements)
    (requirements.parent / "base.txt").write_text("# something\n")
    assert setup.fingerprint(Path("/v"), requirements) != before


def test_another_python_behind_the_link_is_a_change(requirements: Path, tmp_path: Path) -> None:
    setup.make(tmp_path / "venv")
    before = setup.fingerprint(tmp_path / "venv", requirements)
    (tmp_path / "venv" / "bin" / "python").unlink()
    (tmp_path / "venv" / "bin" / "python").symlink_to("/bin/sh")
    assert setup.fingerprint(tmp_path / "venv", requirements) != before


@pytest.mark.slow
def test_an_environment_is_made_once_and_serves_what_it_includes(requirements: Path) -> None:
    folder = requirements.parent
    first = run(requirements, LOCAL_VENV="an environment")
    assert (first.returncode, first.stdout) == (0, f"{folder}/an environment/bin/python\n")
    assert first.stderr.startswith("setting up an environment from ")
    for file in (requirements, folder / "base.txt"):
        again = run(file, LOCAL_VENV="an environment")
        assert (again.stdout, again.stderr) == (first.stdout, "")


@pytest.mark.slow
def test_two_side_by_side_make_it_once(requirements: Path, tmp_path: Path) -> None:
    home = str(tmp_path / "venv")
    with begun(requirements, LOCAL_VENV=home) as one, begun(requirements, LOCAL_VENV=home) as other:
        answers = [process.communicate(timeout=120) for process in (one, other)]
    assert [stdout for stdout, _ in answers] == [f"{home}/bin/python\n"] * 2
    assert sum(stderr.count("setting up") for _, stderr in answers) == 1


def test_a_folder_with_something_in_it_is_refused_and_stays(
    requirements: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    (tmp_path / ".venv").symlink_to("photos")
    for home in (tmp_path / "photos", tmp_path / ".venv"):
        assert refused(requirements, home) == (
            f"{tmp_path}/photos is not empty and no virtual environment; nothing was changed; "
            "set LOCAL_VENV to another folder"
        )
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["one.jpg"]


def test_what_can_hold_no_environment_is_said(requirements: Path, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    said = {name: refused(requirements, tmp_path / name) for name in ("dangling", "file", "a:b")}
    assert said["dangling"].startswith(f"{tmp_path}/dangling is a link to nothing")
    assert said["file"].startswith(f"{tmp_path}/file is a file")
    assert said["a:b"].startswith(f"{tmp_path}/a:b has a : in its name")
    assert (tmp_path / "dangling").is_symlink()


def test_a_place_where_no_folder_can_be_is_said(requirements: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run(requirements, LOCAL_VENV=str(tmp_path / "file" / "venv"))
    assert done.returncode == 1
    [_, sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"cannot set up {tmp_path}/file/venv: Not a directory")


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
def test_what_the_system_refuses_is_one_sentence(
    code: int, requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code), "there")

    monkeypatch.setattr(setup, "python_with", fails)
    monkeypatch.setenv("LOCAL_VENV", str(tmp_path / "venv"))
    with pytest.raises(SystemExit) as ended:
        setup.main(requirements)
    assert str(ended.value) == (
        f"cannot set up {tmp_path}/venv: {os.strerror(code)} (there); "
        "set LOCAL_VENV to another folder"
    )


@pytest.mark.slow
def test_somebody_elses_environment_is_used_and_nothing_in_it_is_deleted(
    requirements: Path, plain: Path
) -> None:
    before = {path for path in plain.rglob("*") if path.name != "__pycache__"}
    done = run(requirements, LOCAL_VENV=str(plain))
    assert (done.returncode, done.stdout) == (0, f"{plain}/bin/python\n")
    assert "which this project did not make: nothing is deleted" in done.stderr
    assert before <= set(plain.rglob("*"))
    assert (plain / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_what_pip_cannot_do_is_its_last_line(plain: Path, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("no-such-package-of-ours==1\n")
    done = run(file, LOCAL_VENV=str(plain), PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"pip could not install {tmp_path.name}/requirements.txt into {plain}: ERROR: No matching "
        f"distribution found for no-such-package-of-ours==1 (all it said: {plain}/pip.log)"
    ]
    assert "no-such-package-of-ours==1 (from versions: none)" in (plain / "pip.log").read_text()


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """An environment of somebody's, whose Python is a script."""
    home = tmp_path / "theirs"
    (home / "bin").mkdir(parents=True)
    (home / "pyvenv.cfg").write_text("version = 3.9.18\n")
    return home


def test_somebodys_older_python_is_said(requirements: Path, fake: Path) -> None:
    python = fake / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho 3 9 True {fake}\n")
    python.chmod(0o755)
    assert refused(requirements, fake) == (
        f"{fake} has Python 3.9, older than 3.11; set LOCAL_VENV to another folder"
    )


def test_somebodys_python_that_is_gone_is_said_and_nothing_deleted(
    requirements: Path, fake: Path
) -> None:
    (fake / "bin" / "python").symlink_to("/nowhere/python")
    assert refused(requirements, fake) == (
        f"the Python of the virtual environment {fake} does not run; remove it, or "
        "set LOCAL_VENV to another folder"
    )
    assert (fake / "pyvenv.cfg").exists()


def test_a_system_python_is_no_environment(requirements: Path) -> None:
    assert refused(requirements, sys.base_prefix).startswith(f"{sys.base_prefix} is not empty")


def test_ours_is_made_again_when_its_python_is_gone_another_or_at_another_place(
    tmp_path: Path,
) -> None:
    def python_is_gone(home: Path) -> Path:
        (home / "bin" / "python").unlink()
        return home

    def python_is_another(home: Path) -> Path:
        (home / "pyvenv.cfg").write_text("version = 3.10.1\n")
        return home

    def is_moved(home: Path) -> Path:
        return home.rename(tmp_path / "moved")

    for change in (python_is_gone, python_is_another, is_moved):
        home = tmp_path / change.__name__
        setup.make(home)
        assert setup.is_usable(home)
        (home / "notes.txt").write_text("mine")
        home = change(home)
        assert not setup.is_usable(home)
        setup.make(home)
        assert setup.is_usable(home)
        assert (home / "notes.txt").read_text() == "mine"


def test_one_whose_making_was_interrupted_is_made(tmp_path: Path) -> None:
    (tmp_path / setup.MARK).write_text(f"{tmp_path}\n")
    setup.make(tmp_path)
    assert setup.is_usable(tmp_path)


def test_without_a_new_enough_python_it_says_so(requirements: Path, tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"):
        (tmp_path / name).write_text(OLD)
        (tmp_path / name).chmod(0o755)
    done = run(requirements, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    assert done.stderr.startswith("No Python 3.11 or newer found on PATH")

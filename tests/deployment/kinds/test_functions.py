"""What a function is built with: bytecode that is good for the files as the image has them."""

import os
import subprocess
import sys
from pathlib import Path

from deployment.kinds import functions
from tests.deployment.conftest import Shell

BUILT = 315532801
"""The time that every file of the image has, 1980-01-01T00:00:01Z: buildpacks/lifecycle,
`archive/writer.go`, NormalizedModTime."""
COMPILE = ("-m", "compileall", "-f", "-q", ".")
"""As the buildpack of Google's functions does: `cmd/python/functions_framework/lib/lib.go`."""


def _started(folder: Path, environment: dict[str, str]) -> str:
    """What Python says of the bytecode it has, after a build and in the image."""
    (folder / "handlers.py").write_text("HANDLED = True")
    python = (sys.executable, "-B")
    subprocess.run([*python, *COMPILE], cwd=folder, env=environment, check=True)
    os.utime(folder / "handlers.py", (BUILT, BUILT))
    import_it = [*python, "-v", "-c", "import handlers"]
    return subprocess.run(import_it, cwd=folder, capture_output=True, text=True, check=True).stderr


def test_each_build_is_told_how_to_make_its_bytecode(shell: Shell) -> None:
    shell.apply()
    told = [it["buildConfig"] for it in shell.project.of("function").values()]
    assert told
    assert all(it["environmentVariables"] == functions.BUILD for it in told)


def test_its_bytecode_is_good_in_the_image(tmp_path: Path) -> None:
    said = _started(tmp_path, functions.BUILD)
    assert "matches" in said
    assert "stale" not in said


def test_without_what_a_build_is_told_it_would_be_out_of_date(tmp_path: Path) -> None:
    assert "bytecode is stale for 'handlers'" in _started(tmp_path, {})

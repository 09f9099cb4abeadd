"""A function's variables survive the way through the file."""

from pathlib import Path
from typing import Any

import pytest

from local.gcloud.environments import read_file
from local.gcloud.errors import GcloudError


def read(tmp_path: Path, text: Any) -> Any:
    path = tmp_path / "env.yaml"
    path.write_text(text, encoding="utf-8")
    return read_file(str(path))


def test_values_are_read_as_yaml_has_them(tmp_path: Path) -> None:
    lines = {
        'A: "x,y=z"': "x,y=z",
        r'A: "say \"hi\" \\o/"': r'say "hi" \o/',
        "A: 'it''s'": "it's",
        "A: plain words": "plain words",
        'A: "# : é"': "# : é",
        'A: "5"': "5",
    }
    assert {line: read(tmp_path, f"# a comment\n{line}\n")["A"] for line in lines} == lines


def test_json_is_read_too(tmp_path: Path) -> None:
    assert read(tmp_path, '{"A": "1", "B": "x"}') == {"A": "1", "B": "x"}


@pytest.mark.parametrize("line", ["A: 5", "A:", "A: [1]", "A: {b: c}", "nonsense"])
def test_other_yaml_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(GcloudError, match="reads lines of NAME"):
        read(tmp_path, line)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GcloudError, match="nowhere"):
        read_file(str(tmp_path / "nowhere"))

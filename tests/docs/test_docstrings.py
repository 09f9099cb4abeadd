"""Every example in a docstring is carried out, as it stands."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, of_source
from tests.docs.scratch import ROOT, Scratch

EXAMPLES = [
    pytest.param(
        block,
        id=f"{path.relative_to(ROOT)}:{block.line}",
        marks=[pytest.mark.slow] if "deploy_bundle" in block.text else [],
    )
    for room in ("common", "functions", "local")
    for path in sorted((ROOT / room).rglob("*.py"))
    for block in of_source(path.read_text())
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_the_example_holds(block: Block, tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        scratch.run(block)

"""What can be measured, and how: the programs of this folder, with what each says of itself."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent


def programs() -> dict[str, str]:
    """The first sentence of each program's docstring, by its name."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        source = path.read_text()
        if '__name__ == "__main__"' in source:
            docstring = ast.get_docstring(ast.parse(source)) or ""
            found[path.stem] = " ".join(docstring.split("\n\n")[0].split())
    return found


def main() -> None:
    """Print the list."""
    print("Each is run by `python -m tests.bench.NAME`:\n")
    for name, sentence in programs().items():
        print(f"  {name:20}  {sentence}")


if __name__ == "__main__":
    main()

"""Who may import whom, and the shape of the tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "main": {"functions"},
    "functions": {"functions", "common"},
    "common": {"common"},
    "local": {"local"},
}
ROOMS = {*MAY_IMPORT, "tests"}
FUNCTIONS = {"consumer", "fanout", "reminder"}
SOURCES = [
    path
    for room in ("common", "functions", "local", "main.py")
    for path in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
]


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a file imports, by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.partition(".")[0] in ROOMS)


def test_imports_point_one_way() -> None:
    for path in SOURCES:
        room = module(path).partition(".")[0]
        foreign = {name.partition(".")[0] for name in imports(path)} - MAY_IMPORT[room]
        assert not foreign, f"{path} imports {foreign}"


def test_nothing_imports_in_a_circle() -> None:
    modules = {module(path): path for path in SOURCES}
    graph = {name: _targets(imports(path), modules) - {name} for name, path in modules.items()}
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert not graph, f"a circle among {sorted(graph)}"


def test_a_function_is_named_like_its_file_and_re_exported() -> None:
    files = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"__init__"}
    exported = {name.rpartition(".")[2] for name in imports(ROOT / "main.py")}
    assert files == FUNCTIONS
    assert exported >= FUNCTIONS


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_file_says_what_happens(name: str) -> None:
    tree = ast.parse((ROOT / "functions" / f"{name}.py").read_text())
    labels = ("Trigger:", "Does:", "Repeats:", "Gives up:")
    assert all(label in (ast.get_docstring(tree) or "") for label in labels)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)]


def test_the_environment_is_read_in_one_module() -> None:
    readers = [path for path in SOURCES if "os.environ" in path.read_text()]
    outside = {module(path) for path in readers if module(path).startswith(("common", "functions"))}
    assert outside <= {"common.process.settings"}


def test_the_functions_read_no_wall_clock_and_do_not_ask_where_they_run() -> None:
    clocks = ("datetime.now(", "time.time(", "utcnow(", "is_local", "LOCAL_")
    for path in SOURCES:
        if module(path).partition(".")[0] in ("common", "functions"):
            found = [clock for clock in clocks if clock in path.read_text()]
            assert not found, f"{path} has {found}"


def test_the_top_level_holds_what_the_contract_names() -> None:
    expected = {"functions", "common", "local", "tests", "deploy.sh", "main.py"}
    expected |= {"requirements.txt", "pyproject.toml", "docs", "README.md"}
    expected |= {"CONTRIBUTING.md", "CHANGELOG.md"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}
    assert found == expected


def _targets(names: Iterator[str], modules: dict[str, Path]) -> set[str]:
    found = set()
    for name in names:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if name and modules[name].name != "__init__.py":
            found.add(name)
    return found


SERVICES = {"firestore", "pubsub", "tasks", "scheduler", "resources", "secrets"}
ROOMS_OF_LOCAL = {
    "kernel": set[str](),
    **{f"services.{name}": {"kernel"} for name in SERVICES},
    "services.functions": {"kernel", "services.pubsub"},
    "services.all": {"kernel", *(f"services.{name}" for name in SERVICES)},
    "http": {"kernel", "services"},
    "cloud": {"kernel", "services", "http"},
    "cli": {"kernel", "cloud"},
    "testing": {"kernel", "cloud", "cli"},
    "__main__": {"kernel", "cli"},
    "gcloud": set[str](),
    "demo": {"cli"},
    "setup": set[str](),
}
"""Who may import whom inside `local/`, from the bottom to the top; each room also itself. The last
three meet the others through REST, gRPC and environment names."""

SOURCES_OF_LOCAL = sorted((ROOT / "local").rglob("*.py"))


def test_the_rooms_of_the_local_cloud_point_one_way() -> None:
    for path in SOURCES_OF_LOCAL:
        inside = module(path).removeprefix("local").lstrip(".")
        room = _room(inside)
        allowed = {room, *ROOMS_OF_LOCAL.get(room, ())}
        wanted = (name.removeprefix("local.") for name in imports(path))
        found = [name for name in wanted if not _is_under(name, allowed)]
        assert not found, f"local.{inside} imports {found}"


def test_every_room_of_the_local_cloud_is_in_the_table() -> None:
    modules = (module(path).removeprefix("local").lstrip(".") for path in SOURCES_OF_LOCAL)
    assert {_room(name) for name in modules if name not in ("", "services")} == set(ROOMS_OF_LOCAL)


def _is_under(name: str, rooms: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


def _room(name: str) -> str:
    """`services.tasks.queue` → `services.tasks`, `http.rest.app` → `http`."""
    return ".".join(name.split(".")[: 2 if name.startswith("services") else 1])

"""Who may import whom, and the shape of the tree. Each rule says what breaks it, by name."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUNCTIONS = {"consumer", "fanout", "reminder"}
LABELS = ("Trigger:", "Does:", "Repeats:", "Gives up:")
"""Of the docstring of a function's module."""
WEB = {"flask", "werkzeug", "cloudevents", "functions_framework"}
"""Web frameworks: what a call or an event looks like is for the triggers to know alone, so that a
web application of any other framework can schedule and send as well."""
CLOCKS = ("datetime.now(", "time.time(", "utcnow(", "is_local", "LOCAL_")
"""A wall clock, and the question where a process runs."""

FLOORS = [
    {"triggers"},
    {"people"},
    {"scheduling"},
    {"messaging"},
    {"idempotency"},
    {"outside"},
    {"cloud"},
    {"process"},
    {"errors"},
]
"""The rooms of `common/` from the top to the bottom: each may import those on the floors below."""

SERVICES = {"firestore", "pubsub", "tasks", "scheduler", "secrets", "resources"}
LOCAL = {
    "kernel": set[str](),
    **{f"services.{name}": {"kernel"} for name in SERVICES},
    "services.functions": {"kernel", "services.pubsub"},
    "services.all": {"kernel", *(f"services.{name}" for name in SERVICES)},
    "services.statefile": {"kernel"},
    "http": {"kernel", "services"},
    "cloud": {"kernel", "services", "http"},
    "cli": {"kernel", "cloud"},
    "testing": {"kernel", "cloud", "cli"},
    "__main__": {"kernel", "cli"},
    "gcloud": set[str](),
    "demo": {"cli"},
    "setup": set[str](),
}
"""Who may import whom inside `local/`, from the bottom to the top. The last three meet the others
through REST, gRPC and environment names."""

DEPLOYMENT = {
    "errors": set[str](),
    "table": {"errors"},
    "gcloud": {"errors"},
    "plan": {"errors", "gcloud", "table"},
    "kinds": {"errors", "gcloud", "plan", "table"},
    "verbs": {"errors", "gcloud", "kinds", "plan", "table"},
    "__main__": {"errors", "gcloud", "plan", "table", "verbs"},
}
"""Who may import whom inside `deployment/`, from the bottom to the top: the table and gcloud know
nothing of each other, a kind of thing compares them, a verb goes through all kinds."""

OPERATIONS = {
    "errors": set[str](),
    "declared": set[str](),
    "terminal": {"errors"},
    "place": {"errors"},
    "flow": {"errors", "place"},
    "things": {"declared", "errors", "place", "terminal"},
    "letters": {"declared", "errors", "flow", "place", "terminal"},
    "scheduled": {"declared", "errors", "place", "terminal"},
    "people": {"declared", "errors", "place", "terminal"},
    "doctor": {"errors", "flow", "letters", "place", "terminal"},
}
OPERATIONS["console"] = {*OPERATIONS} - {"people", "doctor"}
OPERATIONS["__main__"] = {*OPERATIONS} - {"declared", "flow"}
"""Who may import whom inside `operations/`, from the bottom to the top: a room is what somebody
asks about, and has the commands for it. Each may import `common` too; the bundle itself is for
`declared` alone."""


def _below(floor: int) -> set[str]:
    return {f"common.{room}" for rooms in FLOORS[floor + 1 :] for room in rooms}


MAY_IMPORT: Mapping[str, set[str]] = {
    "main": {"functions"},
    "functions": {"common"},
    **{
        f"operations.{room}": {"common", *(f"operations.{it}" for it in others)}
        for room, others in OPERATIONS.items()
    },
    "operations.declared": {"main", "common"},
    **{f"deployment.{room}": {f"deployment.{it}" for it in o} for room, o in DEPLOYMENT.items()},
    **{f"common.{room}": _below(floor) for floor, rooms in enumerate(FLOORS) for room in rooms},
    **{f"local.{room}": {f"local.{it}" for it in others} for room, others in LOCAL.items()},
}
"""The rooms of all that is not a test, and what of ours each may import beside itself."""
PACKAGES = {"common", "deployment", "functions", "local", "local.services", "operations"}
"""What holds rooms: it has nothing but an `__init__.py` of its own."""
TOOLS = {"deployment", "local", "operations"}
"""They run on somebody's machine, and meet the functions through protocols and names alone."""


@dataclass(frozen=True)
class Source:
    """A module of ours."""

    name: str
    """With dots, as it is imported."""
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str | None:
        """The room that the module is in, by the table."""
        parts = self.name.split(".")
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        return next((prefix for prefix in prefixes if prefix in MAY_IMPORT), None)

    def imports(self) -> Iterator[str]:
        """Whatever the module imports, by full names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{'.' * node.level}{node.module}.{it.name}" for it in node.names)

    def ours(self) -> Iterator[str]:
        """Whatever the module imports of ours."""
        mine = ("main", "common", "deployment", "functions", "local", "operations", "tests")
        yield from (name for name in self.imports() if name.partition(".")[0] in mine)


def sources() -> list[Source]:
    """Every module that is not a test."""
    rooms = ("common", "deployment", "functions", "local", "operations")
    files = [path for room in rooms for path in _files(room)]
    return [_source(path) for path in [ROOT / "main.py", *files]]


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _source(path: Path) -> Source:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return Source(
        name=name.removesuffix(".__init__"),
        text=path.read_text(),
        is_package=path.name == "__init__.py",
    )


# The rules: each yields a sentence for whatever breaks it.


def wrong_direction(source: Source) -> Iterator[str]:
    if source.room is None:
        return
    allowed = {source.room, *MAY_IMPORT[source.room]}
    for name in source.ours():
        if not _is_under(name, allowed):
            others = ", ".join(sorted(MAY_IMPORT[source.room])) or "nothing of ours"
            yield f"{source.name} imports {name}, but {source.room} may import {others}"


def relative(source: Source) -> Iterator[str]:
    for name in source.imports():
        if name.startswith("."):
            yield f"{source.name} imports {name}, and not by its full name"


def no_room(source: Source) -> Iterator[str]:
    if source.room is None and not (source.is_package and source.name in PACKAGES):
        yield f"{source.name} is in no room of the table"


def web_framework(source: Source) -> Iterator[str]:
    room = source.room or ""
    if room.startswith("common.") and room != "common.triggers":
        for name in source.imports():
            if name.partition(".")[0] in WEB:
                yield f"{source.name} imports {name}, but only common.triggers knows frameworks"


def environment(source: Source) -> Iterator[str]:
    if source.name == "common.process.settings" or _is_tool(source):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
            yield f"{source.name}:{node.lineno} reads os.{node.attr}, but only settings.py may"
    for name in source.imports():
        if name in ("os.environ", "os.environb", "os.getenv"):
            yield f"{source.name} imports {name}, but only common.process.settings may"


def wall_clock(source: Source) -> Iterator[str]:
    if not _is_tool(source):
        found = [clock for clock in CLOCKS if clock in source.text]
        yield from (f"{source.name} has {clock}, a clock or a place" for clock in found)


def dataclass_(source: Source) -> Iterator[str]:
    """Python makes the methods of a dataclass when it is declared: 0.4 ms each, at each cold start,
    and microseconds for each instance of a frozen one. A `msgspec.Struct` does the same in C."""
    imported = {name.partition(".")[0] for name in source.imports()}
    if source.name.partition(".")[0] in ("common", "functions") and "dataclasses" in imported:
        yield f"{source.name} imports dataclasses, but values of functions are Structs"


def shown_secret(source: Source) -> Iterator[str]:
    """`Hidden` alone hides nothing: it is the class which shows its fields."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and "Hiding" not in map(ast.unparse, node.bases):
            fields = [it for it in node.body if isinstance(it, ast.AnnAssign)]
            for field in fields:
                if "Hidden[" in ast.unparse(field.annotation):
                    where = f"{source.name}:{field.lineno}"
                    yield f"{where} is Hidden, but {node.name} shows it: it is not Hiding"


def code_in_init(source: Source) -> Iterator[str]:
    if source.is_package:
        for node in source.tree.body:
            if not _only_re_exports(node):
                yield f"{source.name}/__init__.py:{node.lineno} has code: it may only re-export"


def unlabelled(source: Source) -> Iterator[str]:
    if source.name not in {f"functions.{name}" for name in FUNCTIONS}:
        return
    docstring = ast.get_docstring(source.tree) or ""
    lines = [line for line in docstring.splitlines() if line.startswith(LABELS)]
    if [line.partition(" ")[0] for line in lines if line.count(": ")] != _first_words():
        yield f"{source.name} does not say {', '.join(LABELS)} in this order, a line each"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try):
            yield f"{source.name}:{node.lineno} has a try: what errors mean is for common to say"


def _first_words() -> list[str]:
    return [label.partition(" ")[0] for label in LABELS]


def _is_tool(source: Source) -> bool:
    return source.name.partition(".")[0] in TOOLS


def _is_under(name: str, rooms: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


def _only_re_exports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) in ("__all__", "__version__")
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or isinstance(node, ast.Import | ast.ImportFrom)


RULES = (
    wrong_direction,
    relative,
    no_room,
    web_framework,
    environment,
    wall_clock,
    dataclass_,
    shown_secret,
    code_in_init,
    unlabelled,
)


def broken(modules: Iterable[Source]) -> list[str]:
    """What breaks the rules."""
    return [said for source in modules for rule in RULES for said in rule(source)]


def test_every_module_keeps_the_rules() -> None:
    assert broken(sources()) == []


def test_every_room_of_the_table_is_there() -> None:
    assert {source.room for source in sources()} - {None} == set(MAY_IMPORT)


MISTAKES = {
    ("common.cloud.x", "from common.idempotency import Work"): (
        "common.cloud.x imports common.idempotency.Work, "
        "but common.cloud may import common.errors, common.process"
    ),
    ("common.cloud.x", "def f():\n    import common.outside.http"): (
        "common.cloud.x imports common.outside.http, "
        "but common.cloud may import common.errors, common.process"
    ),
    ("common.errors", "from common.process import logs"): (
        "common.errors imports common.process.logs, but common.errors may import nothing of ours"
    ),
    ("common.triggers.x", "from functions.shop import carts"): (
        "common.triggers.x imports functions.shop.carts, but common.triggers may import "
        "common.cloud, common.errors, common.idempotency, common.messaging, common.outside, "
        "common.people, common.process, common.scheduling"
    ),
    ("functions.shop.x", "from local.testing import local_cloud"): (
        "functions.shop.x imports local.testing.local_cloud, but functions may import common"
    ),
    ("local.kernel.x", "from local.services.tasks import queue"): (
        "local.kernel.x imports local.services.tasks.queue, "
        "but local.kernel may import nothing of ours"
    ),
    ("local.http.x", "from common.process import logs"): (
        "local.http.x imports common.process.logs, "
        "but local.http may import local.kernel, local.services"
    ),
    ("deployment.kinds.x", "from deployment.verbs import applying"): (
        "deployment.kinds.x imports deployment.verbs.applying, but deployment.kinds may import "
        "deployment.errors, deployment.gcloud, deployment.plan, deployment.table"
    ),
    ("deployment.table.x", "from common.process import variables"): (
        "deployment.table.x imports common.process.variables, "
        "but deployment.table may import deployment.errors"
    ),
    ("deployment.helpers", ""): "deployment.helpers is in no room of the table",
    ("operations.flow.x", "from operations.letters import topic"): (
        "operations.flow.x imports operations.letters.topic, but operations.flow may import "
        "common, operations.errors, operations.place"
    ),
    ("operations.things.x", "from functions.shop import carts"): (
        "operations.things.x imports functions.shop.carts, but operations.things may import "
        "common, operations.declared, operations.errors, operations.place, operations.terminal"
    ),
    ("operations.helpers", ""): "operations.helpers is in no room of the table",
    ("main", "from tests.common import wire"): (
        "main imports tests.common.wire, but main may import functions"
    ),
    ("common.cloud.x", "from .firestore import read"): (
        "common.cloud.x imports .firestore.read, and not by its full name"
    ),
    ("common.helpers", ""): "common.helpers is in no room of the table",
    ("local.utils", ""): "local.utils is in no room of the table",
    ("common.scheduling.x", "from flask import Request"): (
        "common.scheduling.x imports flask.Request, but only common.triggers knows frameworks"
    ),
    ("common.idempotency.x", "import werkzeug.exceptions"): (
        "common.idempotency.x imports werkzeug.exceptions, "
        "but only common.triggers knows frameworks"
    ),
    ("functions.shop.x", "import os\nos.environ['A']"): (
        "functions.shop.x:2 reads os.environ, but only settings.py may"
    ),
    ("common.process.logs", "import os\nos.getenv('A')"): (
        "common.process.logs:2 reads os.getenv, but only settings.py may"
    ),
    ("common.cloud.x", "from os import environ"): (
        "common.cloud.x imports os.environ, but only common.process.settings may"
    ),
    ("common.cloud.x", "datetime.now(UTC)"): "common.cloud.x has datetime.now(, a clock or a place",
    ("common.cloud.x", "from dataclasses import dataclass"): (
        "common.cloud.x imports dataclasses, but values of functions are Structs"
    ),
    ("functions.shop.x", "import dataclasses"): (
        "functions.shop.x imports dataclasses, but values of functions are Structs"
    ),
    ("functions.shop.x", "class Settings(Struct):\n    a: str\n    key: Hidden[str]"): (
        "functions.shop.x:3 is Hidden, but Settings shows it: it is not Hiding"
    ),
    ("functions.consumer", '"""Trigger: a\nRepeats: b\nDoes: c\nGives up: d\n"""'): (
        "functions.consumer does not say Trigger:, Does:, Repeats:, Gives up: in this order, "
        "a line each"
    ),
    (
        "functions.fanout",
        '"""Trigger: a\nDoes: b\nRepeats: c\nGives up: d\n"""\ntry:\n    f()\nfinally:\n    g()',
    ): "functions.fanout:6 has a try: what errors mean is for common to say",
}
"""A module with its text → what is said of it."""


def test_whatever_breaks_a_rule_is_said_by_name() -> None:
    said = {mistake: broken([Source(*mistake)]) for mistake in MISTAKES}
    assert said == {mistake: [sentence] for mistake, sentence in MISTAKES.items()}


def test_a_package_may_re_export_and_do_nothing_else() -> None:
    text = '"""What is here."""\n\nfrom common.cloud import tasks\n\n__all__ = ["tasks"]\n'
    assert broken([Source("common.cloud", text, is_package=True)]) == []
    made = broken([Source("common.cloud", "CLIENT = make()\n", is_package=True)])
    assert made == ["common.cloud/__init__.py:1 has code: it may only re-export"]


def test_nothing_imports_in_a_circle() -> None:
    modules = {source.name: source for source in sources()}
    graph = {name: _targets(source, modules) for name, source in modules.items()}
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert not graph, f"a circle among {sorted(graph)}"


def test_a_function_is_named_like_its_file_and_re_exported() -> None:
    files = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"__init__"}
    exported = {name.rpartition(".")[2] for name in _source(ROOT / "main.py").ours()}
    assert files == FUNCTIONS
    assert exported >= FUNCTIONS


def test_the_top_level_holds_what_the_contract_names() -> None:
    expected = {"functions", "common", "deployment", "operations", "local", "tests", "main.py"}
    expected |= {"deploy.sh", "requirements.txt", "pyproject.toml", "docs", "README.md"}
    expected |= {"CONTRIBUTING.md", "CHANGELOG.md"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}
    assert found == expected


def _targets(source: Source, modules: Mapping[str, Source]) -> set[str]:
    found = set()
    for name in source.ours():
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if name and not modules[name].is_package:
            found.add(name)
    return found - {source.name}

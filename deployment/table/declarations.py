"""What the code declares, read without importing it: functions, campaigns, kinds, queues, settings.

Declarations have literal names: `Campaign(name="weekly_digest", …, queue="digests")`,
`ReminderKind(name="cart_abandonment", …)`, `QUEUE = "reminders"`, a `def consumer` decorated by
`entry.…`, and the keys of a table called `VARIABLES`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployment.table.bundle import Bundle

SWEEP = "common/scheduling/sweep.py"
"""Its `NAME` is what a schedule names to have overdue reminders rung again."""
ROOMS = ("functions", "common")
MARKS = ("@entry.", "Campaign(", "ReminderKind(", "queue=", "QUEUE", "VARIABLES", "NAME")
"""A file without any of these declares nothing, and need not be understood."""


@dataclass(frozen=True, kw_only=True)
class Declarations:
    """The names that the code declares."""

    functions: frozenset[str]
    campaigns: frozenset[str]
    sweeps: frozenset[str]
    kinds: frozenset[str]
    queues: frozenset[str]
    settings: frozenset[str]


def read(root: Path) -> Declarations:
    """Those of the code under `root`."""
    texts = {path: path.read_text(encoding="utf-8") for path in _sources(root)}
    trees = {path: ast.parse(text) for path, text in texts.items() if _declares(text)}
    every = list(trees.values())
    entries = [tree for path, tree in trees.items() if path.parent.name == "functions"]
    sweep = trees.get(root / SWEEP)
    return Declarations(
        functions=frozenset(_entry_points(entries)),
        campaigns=frozenset(_keywords(every, "Campaign", "name")),
        sweeps=frozenset(_assigned([sweep] if sweep else [], "NAME")),
        kinds=frozenset(_keywords(every, "ReminderKind", "name")),
        queues=frozenset({*_keywords(every, "", "queue"), *_assigned(every, "QUEUE")}),
        settings=frozenset(_keys(every, "VARIABLES")),
    )


def check(bundle: Bundle, declared: Declarations) -> Iterator[str]:
    """What the table names exists in the code, and the reverse; one line for each that does not."""
    campaigns = {row.campaign for row in bundle.schedules.values()}
    queues = {row.group for row in bundle.queues.values()}
    pairs = (
        ("functions", set(bundle.functions), declared.functions, "def", "decorated by entry.…"),
        ("queues", queues, declared.queues, "queue", "named by the code"),
        ("schedules", campaigns, declared.campaigns | declared.sweeps, "campaign", "declared"),
    )
    for path, rows, names, what, how in pairs:
        for name in sorted(rows - names):
            yield f"{path}: there is no {what} {name} {how} in functions/ or common/"
        for name in sorted(names - rows):
            yield f"{path}: the {what} {name} is {how}, but no row names it"
    for environment in bundle.environments.values():
        for name in sorted({*environment.settings, *environment.secrets} - declared.settings):
            yield f"environments.{environment.name}: no function reads a setting {name}"
    for name in sorted(set(bundle.head.providers) - declared.settings):
        yield f"bundle.providers: no function reads a setting {name}"


def _sources(root: Path) -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((root / room).rglob("*.py"))


def _declares(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _entry_points(trees: list[ast.Module]) -> Iterator[str]:
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and any(map(_is_entry, node.decorator_list)):
                yield node.name


def _is_entry(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id == "entry"
    )


def _keywords(trees: list[ast.Module], called: str, keyword: str) -> Iterator[str]:
    """The literal values of a keyword in calls of something; `called` empty: of anything."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called in ("", _name(node.func)):
                yield from (
                    it.value.value
                    for it in node.keywords
                    if it.arg == keyword
                    and isinstance(it.value, ast.Constant)
                    and isinstance(it.value.value, str)
                )


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _assigned(trees: list[ast.Module], name: str) -> Iterator[str]:
    """The literal text that a module gives to a name."""
    for value in _values(trees, name):
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _keys(trees: list[ast.Module], name: str) -> Iterator[str]:
    for value in _values(trees, name):
        if isinstance(value, ast.Dict):
            yield from (
                key.value
                for key in value.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )


def _values(trees: list[ast.Module], name: str) -> Iterator[ast.expr | None]:
    for tree in trees:
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            if any(isinstance(it, ast.Name) and it.id == name for it in targets):
                yield getattr(node, "value", None)

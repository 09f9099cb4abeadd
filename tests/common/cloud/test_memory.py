"""Firestore and Cloud Tasks in memory: what a test can rely on, and that it is what is real."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from msgspec.structs import replace

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    Absent,
    Create,
    Delete,
    Filter,
    Increment,
    Merge,
    Update,
    Write,
)
from common.cloud.memory import MemoryFirestore, MemoryTasks, Mishap, TaskMishap
from common.cloud.tasks import Task
from common.errors import BundleError, PermanentError, RefusedError, TransientError
from common.idempotency import Job, Limits, Outcome, Work
from tests.common.wire import Wire, running

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.fixture
def memory() -> Iterator[MemoryFirestore]:
    with firestore.using(MemoryFirestore()) as made:
        yield made


def create(path: str, **fields: Any) -> datetime:
    return firestore.commit([Create(path=path, fields=fields)])


class TestUsing:
    def test_what_is_written_inside_is_not_there_outside(self, memory: MemoryFirestore) -> None:
        create("a/1", n=1)
        with firestore.using(MemoryFirestore()):
            assert not firestore.read("a/1").exists
        assert firestore.read("a/1").data == {"n": 1}

    def test_nothing_is_known_of_the_time_of_another_server(self, memory: MemoryFirestore) -> None:
        time = create("a/1")
        with firestore.using(MemoryFirestore()):
            assert firestore.latest_time() is None
        assert firestore.latest_time() == time

    def test_an_error_inside_ends_it(self) -> None:
        with firestore.using(MemoryFirestore()) as outer:
            inner = MemoryFirestore()
            inner.mishaps = ["error"]
            with pytest.raises(TransientError), firestore.using(inner):
                create("a/1")
            create("a/2")
        assert (list(outer.documents()), inner.documents()) == (["a/2"], {})


class TestTime:
    def test_it_stands_still_but_for_commits(self, memory: MemoryFirestore) -> None:
        before = firestore.read("a/1").read_time
        assert create("a/1") - before == timedelta(microseconds=1)
        assert firestore.read("a/1").read_time == firestore.read("a/1").update_time

    def test_a_test_moves_it(self, memory: MemoryFirestore) -> None:
        before, local = firestore.read("a/1").read_time, memory.monotonic()
        memory.advance(90.5)
        assert firestore.read("a/1").read_time - before == timedelta(seconds=90.5)
        assert memory.monotonic() - local == 90.5

    def test_a_server_timestamp_is_the_commits_to_the_millisecond(
        self, memory: MemoryFirestore
    ) -> None:
        memory.now = datetime(2030, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)
        create("a/1", at={"last": SERVER_TIMESTAMP})
        assert firestore.read("a/1").data["at"]["last"] == datetime(
            2030, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC
        )


class TestPreconditions:
    def test_what_exists_is_not_created(self, memory: MemoryFirestore) -> None:
        create("a/1", n=1)
        with pytest.raises(RefusedError):
            create("a/1", n=2)
        assert firestore.read("a/1").data == {"n": 1}

    def test_only_what_is_still_as_it_was_read_is_updated(self, memory: MemoryFirestore) -> None:
        create("a/1", n=1)
        read = firestore.read("a/1")
        firestore.commit([read.write({"n": 2})])
        with pytest.raises(RefusedError):
            firestore.commit([read.write({"n": 3})])
        assert firestore.read("a/1").data == {"n": 2}

    def test_a_refused_write_takes_the_whole_commit_with_it(self, memory: MemoryFirestore) -> None:
        create("a/1")
        with pytest.raises(RefusedError):
            firestore.commit([Merge(path="a/2", fields={"n": 1}), Create(path="a/1", fields={})])
        assert memory.written == ["a/1"]
        assert memory.documents().keys() == {"a/1"}

    def test_a_write_that_changes_nothing_leaves_the_update_time(
        self, memory: MemoryFirestore
    ) -> None:
        time = create("a/1", n=1)
        firestore.commit([Merge(path="a/1", fields={"n": 1})])
        assert firestore.read("a/1").update_time == time


class TestFields:
    def test_a_merge_reaches_into_maps(self, memory: MemoryFirestore) -> None:
        create("a/1", m={"x": 1, "y": 2}, n=1)
        fields = {"m": {"x": DELETE_FIELD, "z": Increment(2)}}
        firestore.commit([Merge(path="a/1", fields=fields)])
        assert firestore.read("a/1").data == {"m": {"y": 2, "z": 2}, "n": 1}

    def test_an_update_takes_paths_and_replaces_maps(self, memory: MemoryFirestore) -> None:
        create("a/1", m={"x": 1, "y": 2}, k={"x": 1})
        read = firestore.read("a/1")
        firestore.commit([read.write({"m.x": 5, "k": {"z": 1}})])
        assert firestore.read("a/1").data == {"m": {"x": 5, "y": 2}, "k": {"z": 1}}

    def test_nobody_changes_what_is_stored_but_by_a_commit(self, memory: MemoryFirestore) -> None:
        given: dict[str, Any] = {"list": [1], "map": {"n": [1]}}
        create("a/1", **given)
        given["map"]["n"].append(2)
        dict(firestore.read("a/1").data)["list"].append(2)
        memory.documents()["a/1"]["list"].append(2)
        assert firestore.read("a/1").data == {"list": [1], "map": {"n": [1]}}

    def test_a_document_of_more_than_a_mebibyte_is_never_stored(
        self, memory: MemoryFirestore
    ) -> None:
        half = "x" * 524_000
        create("a/1", one=half, other=half)
        with pytest.raises(PermanentError, match="bytes"):
            create("a/2", one=half, other=half, more=half[:1000])

    @pytest.mark.parametrize("path", ["a", "a//b", "a/b/c", "a/..", "a/__x__", f"a/{'x' * 1501}"])
    def test_what_is_no_path_is_never_read_or_written(
        self, memory: MemoryFirestore, path: str
    ) -> None:
        with pytest.raises(PermanentError):
            firestore.read(path)
        with pytest.raises(PermanentError):
            firestore.commit([Merge(path=path, fields={"n": 1})])


class TestQuery:
    def found(self, *filters: Filter, **options: Any) -> list[str]:
        found = firestore.query("a", *filters, **options)
        return [snapshot.path.rpartition("/")[2] for snapshot in found]

    @pytest.fixture(autouse=True)
    def _documents(self, memory: MemoryFirestore) -> None:
        for name, number in (("d", 1), ("b", 2), ("c", 1), ("a", 3)):
            create(f"a/{name}", n=number)
        create("a/a/b/under", n=1)
        create("other/x", n=1)

    def test_equality_goes_in_the_order_of_ids(self) -> None:
        assert self.found() == ["a", "b", "c", "d"]
        assert self.found(("n", "==", 1)) == ["c", "d"]

    def test_pages_follow_each_other(self) -> None:
        assert self.found(limit=3) == ["a", "b", "c"]
        assert self.found(limit=3, after="c") == ["d"]

    def test_a_part_begins_with_its_first_and_ends_before_the_next(self) -> None:
        assert self.found(first="b", before="d") == ["b", "c"]
        assert self.found(after="b", first="a", before="d") == ["c"]

    def test_only_the_chosen_fields_are_read(self) -> None:
        create("b/1", n=1, m=2)
        assert [it.data for it in firestore.query("b", fields=["m", "x"])] == [{"m": 2}]

    def test_what_passes_is_counted(self) -> None:
        assert (firestore.count("a"), firestore.count("a", ("n", "==", 1))) == (4, 2)

    def test_a_collection_is_cut_into_parts_of_one_size(self) -> None:
        assert (firestore.cuts("a", 2), firestore.cuts("a", 3)) == (["c"], ["c"])
        assert (firestore.cuts("a", 1), firestore.cuts("none", 9)) == ([], [])

    def test_a_range_goes_in_the_order_of_its_field(self) -> None:
        assert self.found(("n", "<", 3)) == ["c", "d", "b"]
        assert self.found(("n", ">=", 2), limit=1) == ["b"]

    def test_what_cannot_be_asked_is_an_error(self) -> None:
        with pytest.raises(PermanentError):
            self.found(("n", "<", None))


class TestMishaps:
    @pytest.mark.parametrize(
        ("mishap", "error", "is_applied"),
        [
            ("error", TransientError, False),
            ("lost", TransientError, True),
            ("echo", RefusedError, True),
            ("conflict", RefusedError, False),
            ("permanent", PermanentError, False),
        ],
    )
    def test_each_befalls_one_commit(
        self, memory: MemoryFirestore, mishap: Mishap, error: type[Exception], is_applied: bool
    ) -> None:
        memory.mishaps = ["none", mishap]
        create("a/1")
        with pytest.raises(error) as raised:
            create("a/2")
        assert type(raised.value) is error
        assert ("a/2" in memory.documents()) is is_applied
        create("a/3")
        assert memory.commits == 3

    def test_one_that_nobody_knows_is_a_mistake_of_the_test(self, memory: MemoryFirestore) -> None:
        memory.mishaps = ["lots"]  # type: ignore[list-item]
        with pytest.raises(ValueError, match="none of the mishaps"):
            firestore.commit([])

    def test_reads_and_queries_fail_as_often_as_asked(self, memory: MemoryFirestore) -> None:
        memory.failing_reads = 2
        with pytest.raises(TransientError):
            firestore.read("a/1")
        with pytest.raises(TransientError):
            list(firestore.query("a"))
        assert not firestore.read("a/1").exists
        assert memory.reads == 3

    def test_what_was_never_storable_is_no_conflict(self, memory: MemoryFirestore) -> None:
        with pytest.raises(PermanentError):
            create("a/1", value=object())
        assert memory.documents() == {}


def test_one_of_many_threads_creates_a_document(memory: MemoryFirestore) -> None:
    outcomes: list[str] = []

    def work(number: int) -> None:
        try:
            create("a/1", by=number)
            outcomes.append("created")
        except RefusedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", *["refused"] * 15]


def test_a_handler_runs_against_it_with_its_record(memory: MemoryFirestore) -> None:
    def handler(work: Work) -> Outcome:
        read = firestore.read("carts/1")
        return Outcome(result="sent", writes=[read.write({"state": "purchased"})])

    given = Job(scope="tests", key="k", identity=1, payload=b"{}")
    limits = Limits(max_attempts=3, budget=50.0, lease=90.0)
    answers = [idempotency.run(given, handler, limits=limits) for _ in range(2)]
    assert [it.status for it in answers] == ["done", "duplicate"]
    assert memory.documents("carts") == {"carts/1": {"state": "purchased"}}


class TestTasks:
    TASK = Task(queue="q", url="https://x", body={"n": 1}, identity=("one",), audience="x")

    def test_a_name_is_used_once_even_by_a_task_that_is_gone(self) -> None:
        with tasks.using(MemoryTasks()) as memory:
            assert tasks.enqueue(self.TASK) == "created"
            assert tasks.enqueue(replace(self.TASK, body={})) == "existed"
            assert memory.take() == [self.TASK]
            assert tasks.enqueue(self.TASK) == "existed"
        assert memory.tasks == {}

    def test_queues_have_names_of_their_own(self) -> None:
        with tasks.using(MemoryTasks()) as memory:
            assert tasks.enqueue_all([self.TASK, replace(self.TASK, queue="other")]) == (
                ["created", "created"]
            )
        assert {task.queue for task in memory.tasks.values()} == {"q", "other"}

    @pytest.mark.parametrize(
        ("mishap", "error", "is_created"),
        [
            ("error", TransientError, False),
            ("lost", TransientError, True),
            ("permanent", PermanentError, False),
        ],
    )
    def test_a_mishap_befalls_one_creation(
        self, mishap: TaskMishap, error: type[Exception], is_created: bool
    ) -> None:
        with tasks.using(MemoryTasks()) as memory:
            memory.mishaps = [mishap]
            with pytest.raises(error):
                tasks.enqueue(self.TASK)
            assert bool(memory.tasks) is is_created
            assert tasks.enqueue(self.TASK) == ("existed" if is_created else "created")

    def test_an_echo_is_a_task_that_existed(self) -> None:
        with tasks.using(MemoryTasks()) as memory:
            memory.mishaps = ["echo"]
            assert tasks.enqueue(self.TASK) == "existed"
        assert list(memory.tasks.values()) == [self.TASK]

    @pytest.mark.parametrize(
        "fields",
        [
            {"body": {"x": "x" * 100_000}},
            {"deadline": timedelta(seconds=1)},
            {"at": LONG_AGO + timedelta(days=31)},
        ],
        ids=["body", "deadline", "at"],
    )
    def test_what_the_service_never_takes_is_refused(self, fields: Any) -> None:
        with tasks.using(MemoryTasks(now=lambda: LONG_AGO)), pytest.raises(PermanentError):
            tasks.enqueue(replace(self.TASK, **fields))


# The same operations in memory and over a socket

NAMES = st.sampled_from(["a", "b", "a b", "é", "__x__"]) | st.sampled_from(["", "a.b", "`", "a.c"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), 0.0, -0.0, 1.0, 2.5, float("inf"), float("nan")]),
    st.sampled_from(["", "a", "b", "ü", "\ud800", b"", b"a"]),
    st.sampled_from([LONG_AGO, LONG_AGO.replace(microsecond=7), LONG_AGO.replace(tzinfo=None)]),
    st.sampled_from([(1, 2), object(), {1: 2}]),
)
SENTINELS = st.sampled_from(
    [
        DELETE_FIELD,
        SERVER_TIMESTAMP,
        Increment(1),
        Increment(0.5),
        Increment(2**62),
        Increment(True),
    ]
)
VALUES = st.recursive(
    LEAVES | SENTINELS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
PLAIN = st.recursive(
    st.integers(0, 2) | st.sampled_from([1.0, "a", None, True, LONG_AGO]) | SENTINELS,
    lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
ORDINARY = st.dictionaries(st.sampled_from(["a", "b", "a.b", "a.c"]), PLAIN, min_size=1, max_size=2)
FIELDS = ORDINARY | ORDINARY | ORDINARY | st.dictionaries(NAMES, VALUES, max_size=2)
KINDS = st.sampled_from(
    ["create", *["merge"] * 2, *["update"] * 3, "delete", "delete this", "absent"]
)
VERSIONS = st.sampled_from(["last", "last", "last", "last", "first", "never", "later"])
STEPS = st.tuples(KINDS, st.sampled_from([0, 0, 1]), FIELDS, VERSIONS)
COMMITS = st.lists(st.lists(STEPS, min_size=1, max_size=2), min_size=1, max_size=8)

Step = tuple[str, int, dict[str, Any], str]
BEGINNING: list[Step] = [("create", 0, {"a": {"a": 1, "b": [{"c": 2}], "c": None}, "b": 1}, "")]
collections = map("differential{}".format, itertools.count())


class _Side:
    """One of the two that are compared, with what it has said so far."""

    def __init__(self, collection: str) -> None:
        self._paths = [f"{collection}/{number}" for number in range(2)]
        self._times: dict[str, list[datetime]] = {path: [] for path in self._paths}
        self._commits: set[datetime] = set()
        self.said: list[Any] = []

    def commit(self, steps: Sequence[Step]) -> None:
        self.said.append(_outcome(lambda: self._commit(steps)))
        for snapshot in firestore.read_all(self._paths):
            times = self._times[snapshot.path]
            is_new = snapshot.update_time is not None and snapshot.update_time not in times
            times += [snapshot.update_time] if is_new and snapshot.update_time else []
            shown = self._shown(dict(snapshot.data))
            # Two commits of one millisecond set the same time, and the second changes nothing.
            is_written = is_new or "server time" in repr(shown)
            self.said.append((snapshot.exists, is_written, shown))

    def _commit(self, steps: Sequence[Step]) -> None:
        time = firestore.commit([self._write(*step) for step in steps])
        self._commits.add(time.replace(microsecond=time.microsecond // 1000 * 1000))

    def _write(self, kind: str, number: int, fields: dict[str, Any], version: str) -> Write:
        path = self._paths[number]
        match kind:
            case "create":
                return Create(path=path, fields=fields)
            case "merge":
                return Merge(path=path, fields=fields)
            case "delete":
                return Delete(path=path)
            case "delete this":
                return Delete(path=path, update_time=self._version(path, version))
            case "absent":
                return Absent(path=path)
        return Update(path=path, fields=fields, update_time=self._version(path, version))

    def _version(self, path: str, version: str) -> datetime:
        times = self._times[path] or [LONG_AGO]
        return {
            "last": times[-1],
            "first": times[0],
            "never": LONG_AGO,
            "later": times[-1] + timedelta(days=365),
        }[version]

    def _shown(self, value: Any) -> Any:
        """Whatever is the same on both sides is shown in the same way, and nothing else is."""
        if isinstance(value, dict):
            return {name: self._shown(item) for name, item in sorted(value.items())}
        if isinstance(value, list):
            return [self._shown(item) for item in value]
        return "server time" if value in self._commits else (type(value).__name__, repr(value))


def _outcome(act: Any) -> Any:
    try:
        return act()
    except BundleError as error:
        return type(error).__name__


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running() as made:
        yield made


def test_the_service_reads_parts_fields_and_numbers_as_memory_does(wire: Wire) -> None:
    users = [Create(path=f"users/u{it:03}", fields={"n": it % 2, "m": it}) for it in range(100)]
    elsewhere = [Create(path=f"x/y/users/z{it:03}", fields={}) for it in range(50)]
    firestore.commit([*users, *elsewhere])
    options: dict[str, Any] = {"first": "u011", "before": "u016", "fields": ["m"]}
    found = firestore.query("users", ("n", "==", 1), **options)
    assert [it.data for it in found] == [{"m": 11}, {"m": 13}, {"m": 15}]
    assert firestore.count("users", ("n", "==", 1)) == 50
    cuts = firestore.cuts("users", 4)
    assert 0 < len(cuts) < 4
    assert cuts == sorted(cuts)
    assert all(it.startswith("u") for it in cuts)


NAN = float("nan")
STORED: list[Any] = [
    *(None, False, True, NAN, -(2**62), -1, -0.0, 0, 1, 1.0, 1.5, 2**62, float("inf")),
    *(LONG_AGO, LONG_AGO + timedelta(microseconds=1), "", "a", "ab", "b", "ü", b"", b"a"),
    *([], [0], [1.0], [1, 0], [None], [NAN], ["a", {"a": 1}]),
    *({}, {"a": 1}, {"a": 1, "b": 0}, {"a": 2}, {"b": None}),
]
"""Values of all types, in order but for those that are equal."""
ODD: list[Any] = [
    *([[1]], [[]], {"__x__": 1}, {"": 1}, {"a.b": 1}, {1: 2}, (1, 2), object(), 2**63, True, None),
    *("text", "\ud800", 1.5, LONG_AGO.replace(tzinfo=None), {"__x__": Increment(1)}),
    *([SERVER_TIMESTAMP], {"a": [{"b": [1]}]}, Increment(True)),
]
"""Values about which the client or the service has a rule."""
RULES: list[list[list[Step]]] = [
    [[("update", 0, {"a": {"a": DELETE_FIELD}}, "last")]],
    [[("update", 0, {"a.a": DELETE_FIELD, "b": DELETE_FIELD}, "last")]],
    [[("update", 0, {"a": 1, "a.b": {"a": 1}}, "last")]],
    [[("update", 0, {}, "last")]],
    [[("create", 1, {"a": DELETE_FIELD}, "")]],
    [[("create", 1, {"__x__": 1}, "")]],
    [[("merge", 1, {"a": DELETE_FIELD}, "")], [("merge", 1, {}, "")]],
    [[("merge", 0, {"a": {}}, "")], [("merge", 0, {"a": [DELETE_FIELD]}, "")]],
    [[("merge", 0, {"b": Increment(2**62)}, "")]] * 2,
    [[("merge", 0, {"b": value, "c": {"d": value}}, "")] for value in ODD],
    [[("update", 0, {"b": value}, "last")] for value in ODD],
    [[("create", 1, {"b": [{"d": value}]}, "")] for value in ODD],
    [[("merge", 0, {"b": it}, ""), ("merge", 0, {"b": Increment(1)}, "")] for it in ODD],
]
"""Commits about which the client or the service has a rule."""
LISTS: list[Any] = [
    *([], [1], [1, "a"], [None], [None, 1], [NAN], [NAN, 1, 1.0], [True, LONG_AGO, b"a"]),
    *([{"a": 1}], "a"),
]
COMPARING = ["==", "!=", "<", "<=", ">", ">="]
LISTING = ["in", "not-in", "array_contains_any"]


@pytest.mark.usefixtures("wire")
class TestDifferential:
    def test_each_rule_about_commits_has_the_same_results(self) -> None:
        for commits in RULES:
            real, memory = self._played(commits)
            assert memory == real

    @how(max_examples=120, deadline=None)
    @given(COMMITS)
    def test_the_same_commits_have_the_same_results(self, commits: Any) -> None:
        real, memory = self._played(commits)
        assert memory == real

    def _played(self, commits: list[list[Step]]) -> tuple[list[Any], list[Any]]:
        """What the service says of the commits, and what the memory says."""
        name = next(collections)
        real, memory = _Side(name), _Side(name)
        for steps in [BEGINNING, *commits]:
            real.commit(steps)
        with firestore.using(MemoryFirestore()):
            for steps in [BEGINNING, *commits]:
                memory.commit(steps)
        return real.said, memory.said

    @pytest.mark.parametrize("operator", [*COMPARING, *LISTING, "array_contains"])
    def test_values_of_every_type_compare_in_the_same_way(self, operator: str) -> None:
        name = next(collections)
        operands = LISTS if operator in LISTING else STORED

        def ask() -> Any:
            documents = [{"a": value} for value in STORED] + [{}]
            writes = [Create(path=f"{name}/{n:02}", fields=it) for n, it in enumerate(documents)]
            firestore.commit(writes)
            return [
                _outcome(lambda it=it: self._paths(name, ("a", operator, it))) for it in operands
            ]

        real = ask()
        with firestore.using(MemoryFirestore()):
            assert ask() == real

    def _paths(self, collection: str, *filters: Filter, **options: Any) -> Any:
        query = firestore.query(collection, *filters, **options)
        return _outcome(lambda: [snapshot.path for snapshot in query])

    DOCUMENTS = st.dictionaries(
        st.sampled_from(["a", "b", "c", "A", "ä", "aa", "a%2F"]),
        st.fixed_dictionaries({}, optional={"a": st.sampled_from(STORED), "b": st.integers(0, 2)}),
        max_size=7,
    )
    ONE = st.one_of(
        st.tuples(st.just("a"), st.sampled_from(["==", "<", ">=", "!="]), st.sampled_from(STORED)),
        st.tuples(st.just("a"), st.just("array_contains"), st.integers(0, 2)),
        st.tuples(st.just("a.b"), st.sampled_from(["==", ">"]), st.integers(0, 2)),
        st.tuples(st.just("a"), st.just("<>"), st.integers(0, 2)),
    )
    OTHER = st.tuples(st.just("b"), st.just("=="), st.integers(0, 2))
    FILTERS = st.lists(ONE, max_size=1) | st.tuples(ONE, OTHER).map(list)
    LIMITS = st.none() | st.integers(0, 3)
    AFTER = st.none() | st.sampled_from(["a", "b", "zz"])

    @how(max_examples=80, deadline=None)
    @given(DOCUMENTS, FILTERS, LIMITS, AFTER)
    def test_the_same_queries_have_the_same_results(
        self, documents: Any, filters: Any, limit: int | None, after: str | None
    ) -> None:
        name = next(collections)

        def ask() -> Any:
            firestore.commit(
                [Create(path=f"{name}/{it}", fields=fields) for it, fields in documents.items()]
            )
            return self._paths(name, *filters, limit=limit, after=after)

        real = ask()
        with firestore.using(MemoryFirestore()):
            assert ask() == real


def test_what_must_be_absent_is_not_written_and_refuses_what_is_there() -> None:
    memory = MemoryFirestore()
    memory.commit([Absent(path="erased/a"), Absent(path="erased/a"), Merge(path="users/u")])
    assert (list(memory.documents()), memory.written) == (["users/u"], ["users/u"])
    with pytest.raises(RefusedError):
        memory.commit([Merge(path="users/v"), Absent(path="users/u")])
    assert list(memory.documents()) == ["users/u"]


def test_a_delete_of_this_version_leaves_any_other() -> None:
    memory = MemoryFirestore()
    first = memory.commit([Merge(path="erased/a", fields={"n": 1})])
    memory.commit([Merge(path="erased/a", fields={"n": 2})])
    with pytest.raises(RefusedError):
        memory.commit([Delete(path="erased/a", update_time=first)])
    memory.commit(
        [Delete(path="erased/a", update_time=memory.read_all(["erased/a"])[0].update_time)]
    )
    assert memory.documents() == {}

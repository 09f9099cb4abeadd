"""What drives a running cloud: `/local/v1/…`, for the command line, the fixture and the demo."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import grpc

from local.http.report import Report
from local.http.rest.routes import Call, Route
from local.http.rest.scheduler import Jobs
from local.kernel import fault_plans, moments
from local.kernel.clock import Clock
from local.kernel.faults import Faults
from local.kernel.foreign import NAMES
from local.kernel.refusals import invalid
from local.kernel.rpc import Service
from local.kernel.status import Status
from local.services.functions.crashes import Crashes, Trap
from local.services.functions.service import Functions

JSON = dict[str, Any]
NOTE = (
    "{function} reads the clock of this machine ({place}), which `advance` does not move: for it,"
    " no time has passed. Take the time from Firestore (a read's or a write's), or from what calls"
    " the function."
)
"""What is said of a function that is not known to take its time from the cloud."""
TRAP = ("service", "method", "subject", "count", "before")


class Whole(Protocol):
    """The cloud as a whole, which is begun anew."""

    async def reset(self) -> None:
        """Forget everything that happened."""

    def export(self, path: Path) -> None:
        """Write a copy of the state to a file. Raises OSError."""

    async def replace(self, path: Path) -> None:
        """Go on with an exported state. Raises ValueError or OSError."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """The verbs. Each takes and returns a JSON document, and raises ValueError for a caller's
    mistake."""

    clock: Clock
    faults: Faults
    crashes: Crashes
    functions: Functions
    publisher: Service
    jobs: Jobs
    report: Report
    foreign: Mapping[str, str]
    """What is served elsewhere: `firestore`, `pubsub` or `tasks`, and its address."""
    stopping: asyncio.Event
    """Set to end the cloud; also set when a part of it failed."""
    ended: asyncio.Event
    """Set when what is here is no longer what runs: the cloud ends, or was reset."""
    announce: Callable[[str], None]
    """Takes the address of a console that shows this cloud."""
    whole: Whole
    """The cloud itself."""

    async def advance(self, body: JSON) -> JSON:
        """`{"seconds": n}` → `{"now", "notes"?}`, once the clock is moved and everything that fell
        due is delivered; the notes name functions that have not moved with it."""
        for service, address in self.foreign.items():
            raise ValueError(
                f"the clock cannot be moved while {NAMES[service]} is served by {address}, which "
                "has a clock of its own"
            )
        await self._unless_stopped(self.clock.advance(timedelta(seconds=float(body["seconds"]))))
        notes = [
            NOTE.format(function=function, place=place)
            for function, place in self.functions.on_the_machines_clock().items()
        ]
        return {"now": self.clock.now().isoformat(), **({"notes": notes} if notes else {})}

    async def idle(self, body: JSON) -> JSON:
        """Nothing → `{"now"}`, once nothing is in flight, and nothing is due or only held back by a
        rate."""
        await self._unless_stopped(self.clock.idle())
        return {"now": self.clock.now().isoformat()}

    async def set_faults(self, body: JSON) -> JSON:
        """A fault plan (`{}`: nothing goes wrong) → the plan, without the values that change
        nothing."""
        plan = fault_plans.plan(body)
        fault_plans.check(plan, self.foreign)
        self.faults.use(plan)
        return fault_plans.document(plan)

    async def crash(self, body: JSON) -> JSON:
        """`{"function", "service"?, "method"?, "subject"?, "count"?, "before"?}`.

        Kills the function's worker right after (or before) its `count`-th matching call from now.
        `{"function", "now": true}` kills it at once and answers how many processes that were.
        """
        name = self.functions.catalog.get(body["function"]).name
        if body.get("now"):
            return {"killed": self.functions.kill_workers(name)}
        trap = Trap(**{key: body[key] for key in TRAP if key in body})
        self.crashes.set(name, trap)
        return {"function": name}

    async def tick(self, body: JSON) -> JSON:
        """`{"job": id or name, "at"?: RFC 3339}` → the job, which has been fired."""
        at = moments.parse(body["at"]) if body.get("at") else None
        return self.jobs.run_job(self._job(body["job"]), schedule_time=at)

    async def publish(self, body: JSON) -> JSON:
        """`{"events": [any JSON, …], "attributes"?}` or `{"messages": [{"data": base64,
        "attributes"?}, …]}`.

        With `"topic"` (id or name) unless exactly one topic feeds functions → `{"topic",
        "message_ids"}`. The attributes beside the events are those of each event.
        """
        topic = self._topic(body.get("topic"))
        method = self.publisher.methods()["Publish"]
        request = method.request(topic=topic)
        for event in body.get("events", ()):
            data = json.dumps(event, ensure_ascii=False).encode()
            request.messages.add(data=data, attributes=body.get("attributes", {}))
        for message in body.get("messages", ()):
            data = base64.b64decode(message.get("data", ""))
            request.messages.add(data=data, attributes=message.get("attributes", {}))
        response = await method.call(request)  # type: ignore[misc]
        return {"topic": topic, "message_ids": list(response.message_ids)}

    async def time(self, body: JSON) -> JSON:
        """Nothing → `{"now", "ahead_seconds", "in_flight", "next_due"}`, at once, also while others
        wait."""
        return self.report.time()

    async def down(self, body: JSON) -> JSON:
        """Nothing → `{}`; the cloud ends after this answer."""
        self.stopping.set()
        self.ended.set()
        return {}

    async def console(self, body: JSON) -> JSON:
        """`{"url"}` → `{}`: a console shows this cloud there; the state's `env` says so."""
        self.announce(str(body["url"]))
        return {}

    async def reset(self, body: JSON) -> JSON:
        """Nothing → `{"now"}`, once everything that happened is forgotten, the clock included, and
        what is deployed runs again."""
        await self.whole.reset()
        return {"now": datetime.now(UTC).isoformat()}

    async def export(self, body: JSON) -> JSON:
        """`{"path"}`: absolute → the same, once a copy of the whole state is there."""
        try:
            self.whole.export(_absolute(body["path"]))
        except OSError as error:
            raise ValueError(f"cannot write {body['path']}: {error.strerror}") from error
        return {"path": body["path"]}

    async def replace(self, body: JSON) -> JSON:
        """`{"path"}`: absolute, of an exported state → the same, once it is in the place of this
        one and what is deployed in it runs."""
        try:
            await self.whole.replace(_absolute(body["path"]))
        except OSError as error:
            raise ValueError(f"cannot read {body['path']}: {error.strerror}") from error
        return {"path": body["path"]}

    async def status(self, body: JSON) -> JSON:
        """Nothing → the whole report (see `local.http.report`)."""
        return await self.report.read()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for `work`, or raise UNAVAILABLE if the cloud ends first: it delivers nothing any
        more."""
        waiting = asyncio.create_task(work)
        ending = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                what = "is ending" if self.stopping.is_set() else "began anew"
                raise Status(grpc.StatusCode.UNAVAILABLE, f"the local cloud {what}")
            waiting.result()
        finally:
            waiting.cancel()
            ending.cancel()
            await asyncio.gather(waiting, ending, return_exceptions=True)

    def _job(self, job: str) -> str:
        names = [str(known["name"]) for known in self.report.jobs()]
        for name in names:
            if job in (name, name.rpartition("/")[2]):
                return name
        ids = ", ".join(name.rpartition("/")[2] for name in names)
        known = f"the jobs are {ids}" if ids else "there are no jobs"
        raise Status(grpc.StatusCode.NOT_FOUND, f"no job is named {job}; {known}")

    def _topic(self, topic: str | None) -> str:
        known = self.report.topics()
        for name in known:
            if topic in (name, name.rpartition("/")[2]):
                return name
        if topic and topic.startswith("projects/"):
            return topic
        if topic:
            return f"projects/{self.report.project}/topics/{topic}"
        if len(known) == 1:
            return known[0]
        reason = (
            f"several feed functions: {', '.join(known)}" if known else "no topic feeds a function"
        )
        raise ValueError(f"the topic must be named; {reason}")


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ValueError(f"the path must be absolute, not {text!r}")
    return path


def control_routes(control: Control) -> list[Route]:
    """Return the route of each verb."""

    def route(verb: str, name: str, call: Callable[[JSON], Any]) -> Route:
        async def answer(request: Call) -> JSON:
            try:
                answered: JSON = await call(request.body)
                return answered
            except KeyError as error:
                text = f"{name}: {error} is missing"
                raise invalid(text) from error
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid(str(error)) from error

        return Route(verb, f"/local/v1/{name}", answer)

    return [
        route("GET", "status", control.status),
        route("GET", "clock", control.time),
        route("POST", "advance", control.advance),
        route("POST", "idle", control.idle),
        route("POST", "faults", control.set_faults),
        route("POST", "crash", control.crash),
        route("POST", "tick", control.tick),
        route("POST", "publish", control.publish),
        route("POST", "reset", control.reset),
        route("POST", "export", control.export),
        route("POST", "import", control.replace),
        route("POST", "console", control.console),
        route("POST", "down", control.down),
    ]

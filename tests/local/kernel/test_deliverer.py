"""Deliveries to a real HTTP server, with what the plan does to them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from local.kernel import fault_plans
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import LARGE, Deliverer, Request
from local.kernel.faults import Faults, Plan


class Server:
    """Answers what it is told to, and remembers when each request came and went."""

    def __init__(self) -> None:
        self.status = 200
        self.pause = 0.0
        self.log: list[str] = []
        self.bodies: list[bytes] = []

    async def handle(self, request: web.Request) -> web.Response:
        name = request.path.strip("/")
        self.log.append(f"{name} in")
        self.bodies.append(await request.read())
        await asyncio.sleep(self.pause)
        self.log.append(f"{name} out")
        return web.Response(status=self.status, text="answer")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=4 * LARGE)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def delivered(
    plan: Plan,
    *subjects: str,
    server: Server | None = None,
    attempt: int = 1,
    timeout: float = 10.0,
    apart: float = 0.0,
    body: bytes = b"",
) -> Any:
    """Deliver all subjects, each begun `apart` seconds after the one before; their replies."""
    server = server or Server()

    async def run() -> Any:
        deliverer = Deliverer(Clock(Database(":memory:")), Faults(plan=plan))

        async def one(url: Any, number: Any, subject: Any) -> Any:
            await asyncio.sleep(number * apart)
            return await deliverer.send(
                Request(
                    service="tasks",
                    subject=subject,
                    attempt=attempt,
                    url=f"{url}/{subject}",
                    timeout=timeout,
                    body=body,
                )
            )

        async with server.running() as url:
            sending = (one(url, number, subject) for number, subject in enumerate(subjects))
            try:
                return await asyncio.gather(*sending)
            finally:
                await deliverer.close()

    return asyncio.run(run())


MANY = [f"t{number}" for number in range(30)]


def test_a_delivery_is_made_once_and_its_answer_comes_back() -> None:
    server = Server()
    (reply,) = delivered(Plan(), "t", server=server)
    assert (reply.status, reply.body, reply.ok) == (200, b"answer", True)
    assert server.log == ["t in", "t out"]


@pytest.mark.parametrize("size", [0, 2, LARGE, LARGE + 1])
def test_a_body_of_any_size_arrives_as_it_is(size: int) -> None:
    server, body = Server(), bytes(size)
    delivered(Plan(), "t", server=server, body=body)
    assert server.bodies == [body]


def test_no_answer_in_time_is_a_time_out() -> None:
    server = Server()
    server.pause = 0.5
    (reply,) = delivered(Plan(), "t", server=server, timeout=0.05)
    assert (reply.status, reply.timed_out) == (None, True)


def refused(*attempts: int, url: str = "http://127.0.0.1:1/") -> tuple[Any, Deliverer]:
    """The last answer of so many attempts to reach nobody, and who made them."""
    deliverer = Deliverer(Clock(Database(":memory:")), Faults())

    async def run() -> Any:
        request = Request(service="tasks", subject="t", attempt=1, url=url, timeout=5)
        try:
            for attempt in attempts:
                reply = await deliverer.send(replace(request, attempt=attempt))
            return reply
        finally:
            await deliverer.close()

    return asyncio.run(run()), deliverer


def test_a_refused_connection_is_no_answer() -> None:
    reply, _ = refused(1)
    assert reply.status is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http:///", f"http://{'x' * 64}/"])
def test_a_url_that_leads_nowhere_is_no_answer(url: str) -> None:
    reply, _ = refused(1, url=url)
    assert reply.status is None


def test_how_often_anything_was_tried_at_most_is_told() -> None:
    _, deliverer = refused(1, 7, 2)
    assert (deliverer.attempts, deliverer.counts) == ({"tasks": 7}, {"tasks": 3})


def test_time_stands_still_while_a_delivery_is_in_flight() -> None:
    server = Server()
    server.pause = 0.05

    async def run() -> None:
        clock = Clock(Database(":memory:"))
        deliverer = Deliverer(clock, Faults())
        async with server.running() as url:
            request = Request(service="tasks", subject="t", attempt=1, url=url, timeout=5)
            sending = asyncio.create_task(deliverer.send(request))
            await asyncio.sleep(0)
            await clock.idle()
            assert server.log == [" in", " out"]
            await sending
            await deliverer.close()

    asyncio.run(run())


def test_duplicates_come_one_after_the_other_and_at_once() -> None:
    server = Server()
    server.pause = 0.02
    delivered(Plan(seed=1, duplicates=1), *MANY, server=server)
    orders = {
        subject: [line.split()[1] for line in server.log if line.split()[0] == subject]
        for subject in MANY
    }
    assert ["in", "in", "out", "out"] in orders.values()
    assert ["in", "out", "in", "out"] in orders.values()
    assert all(len(order) == 4 for order in orders.values())


def test_a_delivery_that_failed_is_not_repeated_after_its_answer() -> None:
    """The platform does that itself, later."""
    server = Server()
    server.status = 500
    delivered(Plan(seed=1, duplicates=1), *MANY, server=server)
    assert len(MANY) < server.log.count("t0 in") + len(server.log) / 2 < 2 * len(MANY)


def test_a_dropped_delivery_never_arrives() -> None:
    server = Server()
    (reply,) = delivered(Plan(drops=1), "t", server=server)
    assert (reply.status, server.log) == (None, [])


def test_a_lost_acknowledgement_was_given() -> None:
    server = Server()
    (reply,) = delivered(Plan(lost_acks=1), "t", server=server)
    assert (reply.status, server.log) == (None, ["t in", "t out"])


def test_a_failure_is_not_lost() -> None:
    server = Server()
    server.status = 500
    (reply,) = delivered(Plan(lost_acks=1), "t", server=server)
    assert reply.status == 500


def test_a_reordered_delivery_is_overtaken_by_later_ones() -> None:
    server = Server()
    delivered(Plan(seed=2, reorder=0.5), *MANY[:8], server=server, apart=0.03)
    arrived = [line.split()[0] for line in server.log if line.endswith("in")]
    assert arrived != MANY[:8]
    assert sorted(arrived) == MANY[:8]


def test_deliveries_arrive_in_order_otherwise() -> None:
    server = Server()
    delivered(Plan(seed=2), *MANY[:8], server=server, apart=0.03)
    assert [line.split()[0] for line in server.log if line.endswith("in")] == MANY[:8]


@pytest.mark.parametrize("kind", ["drops", "lost_acks", "duplicates"])
def test_which_deliveries_are_hit_depends_on_seed_and_subject_alone(kind: str) -> None:
    def hit(*subjects: Any) -> Any:
        server = Server()
        replies = delivered(fault_plans.plan({"seed": 9, kind: 0.5}), *subjects, server=server)
        return {
            subject: (reply.status, server.log.count(f"{subject} in"))
            for subject, reply in zip(subjects, replies, strict=True)
        }

    assert hit(*MANY) == hit(*reversed(MANY))


def test_a_later_attempt_has_its_own_luck() -> None:
    plan = Plan(seed=9, drops=0.5)
    first = [reply.status for reply in delivered(plan, *MANY)]
    assert first != [reply.status for reply in delivered(plan, *MANY, attempt=2)]

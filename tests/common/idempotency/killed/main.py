"""A function that does one piece of work of each kind, and can be told to take its time."""

import os
import time
from typing import Any

import functions_framework
from flask import Request

from common import idempotency
from common.cloud.firestore import Increment, Merge
from common.errors import InProgressError
from common.idempotency import Job, Limits, Outcome, Work
from common.process import logs, shutdown

shutdown.GRACE = float(os.environ.get("GRACE", "0.2"))
shutdown.LAST_CALL = float(os.environ.get("LAST_CALL", "0.4"))
logs.install()
shutdown.prepare()


@functions_framework.http  # type: ignore[untyped-decorator]
def worker(request: Request) -> tuple[dict[str, Any], int]:
    """`key`; `seconds` that its effect takes; `on_unknown_outcome`."""
    asked = request.get_json()
    job = Job(
        scope="worker",
        key=asked["key"],
        identity=asked["key"],
        payload=request.get_data(),
        on_unknown_outcome=asked.get("on_unknown_outcome", "rerun"),
    )
    limits = Limits(max_attempts=20, budget=30.0, lease=60.0)
    try:
        answer = idempotency.run(job, lambda work: _handle(work, asked), limits=limits)
    except InProgressError as error:
        return {"status": str(error)}, 409
    return {"status": answer.status, "result": answer.result}, 200


def _handle(work: Work, asked: dict[str, Any]) -> Outcome:
    key = asked["key"]
    work.write("write", lambda: [_effect(f"{key} write")])
    work.step("mail", lambda step: _send(asked))
    return Outcome(result=work.attempt, writes=[_effect(f"{key} done")])


def _send(asked: dict[str, Any]) -> Outcome:
    time.sleep(asked.get("seconds", 0))
    return Outcome(writes=[_effect(f"{asked['key']} mail")])


def _effect(name: str) -> Merge:
    return Merge(path=f"effects/{name}", fields={"times": Increment(1)})

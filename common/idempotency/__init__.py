"""Every effect once: what a trigger and a handler need. `delivery` explains how, and what for."""

from common.idempotency.call import Call
from common.idempotency.delivery import run
from common.idempotency.job import Answer, Handler, Job, Limits
from common.idempotency.work import Outcome, Work

__all__ = ["Answer", "Call", "Handler", "Job", "Limits", "Outcome", "Work", "run"]

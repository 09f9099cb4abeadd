"""What goes wrong on request, decided by a hash and not by a running generator.

Every decision is `chance(seed, kind, service, method, business id, attempt)`: the same seed gives
the same story whatever the threads do. `attempt` counts the calls of a method for a business id.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from local.status import Status


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How nasty to be. Rates are probabilities from 0 to 1; latency is in seconds."""

    seed: int = 0
    duplicates: float = 0.0
    """A delivery that succeeded is made again."""
    crashes: float = 0.0
    """The function's worker is killed in the middle of a delivery."""
    errors: float = 0.0
    """A call to a service fails with UNAVAILABLE before it is applied."""
    lost_replies: float = 0.0
    """A call is applied, and its answer is lost (UNAVAILABLE)."""
    latency: float = 0.0
    """Every call to a service takes this much longer."""


@dataclass(frozen=True)
class Fault:
    """What is to happen after one call was applied."""

    lose_reply: bool = False
    hook: Callable[[], None] | None = None

    async def after(self) -> None:
        """Apply it."""
        if self.hook:
            self.hook()
        if self.lose_reply:
            _unavailable("the reply was lost")


Hook = Callable[[str, str, str], Callable[[], None] | None]
"""(service, method, subject) → what to do after the call was applied; None: nothing."""


@dataclass
class Faults:
    """The plan in force and what it decides. `plan` may be replaced at any time."""

    plan: Plan = field(default_factory=Plan)
    hooks: dict[str, Hook] = field(default_factory=dict)
    """By caller: looks at every call of one function, for a kill at a chosen point."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls served, by (service, method)."""
    _attempts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def chance(self, *parts: object) -> float:
        """A number in [0, 1) that depends on the seed and the parts alone."""
        text = "\0".join(map(str, (self.plan.seed, *parts)))
        digest = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def hits(self, kind: str, rate: float, *parts: object) -> bool:
        """Whether the fault of this kind happens to this."""
        return rate > 0 and self.chance(kind, *parts) < rate

    async def call(
        self, service: str, method: str, subject: Callable[[], str], caller: str
    ) -> Fault:
        """Before a call: wait, fail, or say what is to happen after it."""
        self.counts[service, method] += 1
        plan, hook = self.plan, self.hooks.get(caller)
        if not (plan.latency or plan.errors or plan.lost_replies or hook):
            return Fault()
        if plan.latency:
            await asyncio.sleep(plan.latency)
        name = subject()
        after = hook(service, method, name) if hook else None
        if not caller:
            return Fault(hook=after)
        self._attempts[service, method, name] += 1
        key = (service, method, name, self._attempts[service, method, name])
        if self.hits("error", plan.errors, *key):
            _unavailable("injected error")
        return Fault(lose_reply=self.hits("lost", plan.lost_replies, *key), hook=after)


def _unavailable(text: str) -> None:
    raise Status(grpc.StatusCode.UNAVAILABLE, text)

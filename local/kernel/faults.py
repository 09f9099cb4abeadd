"""What goes wrong on request, decided by a hash and not by a running generator.

Every decision is `chance(seed, kind, service, method, business id, attempt)`: the same seed gives
the same story whatever the threads do. `attempt` counts the calls of a method for a business id.
"""

import asyncio
import functools
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from local.kernel.status import Status

RATES = ("duplicates", "reorder", "drops", "lost_acks", "crashes", "errors", "lost_replies")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one service, or one of its methods, does instead of what the plan says of all."""

    service: str
    """`Firestore`, `CloudTasks`, `Publisher`, `Subscriber` (or a full name); `*`: any."""
    method: str = "*"
    errors: float = 0.0
    code: str = "UNAVAILABLE"
    """What an error is answered with, a gRPC code's name."""
    lost_replies: float = 0.0
    latency: float = 0.0

    def covers(self, service: str, method: str) -> bool:
        """Return whether the rule is about a call."""
        named = self.service in ("*", service, service.rpartition(".")[2])
        return named and self.method in ("*", method)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What goes wrong, and how often. Rates are probabilities from 0 to 1; latency is in seconds.

    The first five are about deliveries to functions; the others about calls to services.
    """

    seed: int = 0
    duplicates: float = 0.0
    """A delivery is made twice: half of them one after the other, half of them at once."""
    reorder: float = 0.0
    """A delivery is held back for a moment, so that others overtake it."""
    drops: float = 0.0
    """A delivery never arrives; the platform tries again later."""
    lost_acks: float = 0.0
    """The function's 2xx is lost, and the platform tries again."""
    crashes: float = 0.0
    """The function's worker is killed in the middle of a delivery."""
    errors: float = 0.0
    """A call to a service fails before it is applied."""
    code: str = "UNAVAILABLE"
    """What such a call is answered with."""
    lost_replies: float = 0.0
    """A call is applied, and its answer is lost (UNAVAILABLE)."""
    latency: float = 0.0
    """Every call to a service takes this much longer."""
    rules: tuple[Rule, ...] = ()
    """Exceptions; the first that covers a call decides it alone."""

    def __post_init__(self) -> None:
        for rate in (*(getattr(self, name) for name in RATES), *self._rule_rates()):
            if not 0 <= rate <= 1:
                raise ValueError(f"a rate is from 0 to 1, not {rate}")
        for code in (self.code, *(rule.code for rule in self.rules)):
            if code == "OK" or code not in grpc.StatusCode.__members__:
                raise ValueError(f"{code} is not a gRPC error code")
        if min(self.latency, *(rule.latency for rule in self.rules), 0) < 0:
            raise ValueError("latency cannot be negative")

    def _rule_rates(self) -> list[float]:
        return [rate for rule in self.rules for rate in (rule.errors, rule.lost_replies)]

    def rule(self, service: str, method: str) -> Rule:
        """Return the rule that holds for one call: the first that covers it, else the plan's own
        rates."""
        for rule in self.rules:
            if rule.covers(service, method):
                return rule
        return self._own_rule

    @functools.cached_property
    def _own_rule(self) -> Rule:
        return Rule(
            service="*",
            errors=self.errors,
            code=self.code,
            lost_replies=self.lost_replies,
            latency=self.latency,
        )


@dataclass(frozen=True)
class Fault:
    """What is to happen after one call was applied."""

    lose_reply: bool = False
    hook: Callable[[], None] | None = None

    def after(self, *, is_answered: bool = True) -> None:
        """Carry the fault out; called after the call was applied. Raises Status for a reply that is
        lost, unless nobody waits for one any more."""
        if self.hook:
            self.hook()
        if self.lose_reply and is_answered:
            raise Status(grpc.StatusCode.UNAVAILABLE, "injected: the reply was lost")


Hook = Callable[[str, str, str], Callable[[], None] | None]
"""(service, method, subject) → what to do after the call was applied; None: nothing."""


@dataclass
class Faults:
    """The plan in force and what it decides. `use` replaces it at any time."""

    plan: Plan = field(default_factory=Plan)
    hooks: dict[str, Hook] = field(default_factory=dict)
    """By caller: looks at every call of one function, for a kill at a chosen point."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls served, by (service, method)."""
    injected: Counter[str] = field(default_factory=Counter)
    """Faults that happened, by kind."""
    _attempts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def use(self, plan: Plan) -> None:
        """Put a plan in force; its story starts at its beginning."""
        self.plan = plan
        self._attempts.clear()

    def chance(self, *parts: object) -> float:
        """Return a number in [0, 1) that depends on the seed and the parts alone."""
        text = "\0".join(map(str, (self.plan.seed, *parts)))
        digest = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def hits(self, kind: str, rate: float, *parts: object) -> bool:
        """Return whether the fault of this kind happens to a delivery or call; if so, it is
        counted."""
        if not rate or self.chance(kind, *parts) >= rate:
            return False
        self.injected[kind] += 1
        return True

    async def call(
        self, service: str, method: str, subject: Callable[[], str], caller: str
    ) -> Fault:
        """Before a call: wait, raise a Status, or return the fault that follows it.

        Latency is everybody's; errors and lost replies are for functions (`caller`), not for
        the tools and tests that look on.
        """
        self.counts[service, method] += 1
        rule, hook = self.plan.rule(service, method), self.hooks.get(caller)
        if rule.latency:
            await asyncio.sleep(rule.latency)
        if not caller or not (hook or rule.errors or rule.lost_replies):
            return Fault()
        name = subject()
        self._attempts[service, method, name] += 1
        key = (service, method, name, self._attempts[service, method, name])
        if self.hits("errors", rule.errors, *key):
            raise Status(grpc.StatusCode[rule.code], "injected error")
        after = hook(service, method, name) if hook else None
        return Fault(lose_reply=self.hits("lost_replies", rule.lost_replies, *key), hook=after)

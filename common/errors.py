"""Every error of the bundle. Retry or give up is a property of the class.

    BundleError
    ├── PermanentError            given up at once: dead-lettered, answered 2xx
    │   ├── MalformedError
    │   ├── KeyReusedError
    │   ├── ReplayRefusedError
    │   ├── StepNameUsedTwiceError
    │   ├── StepVanishedError
    │   ├── StepChangedError
    │   ├── ResultNotStorableError
    │   ├── UnknownOutcomeError
    │   ├── KeyKnownError          they know this key with other content: an earlier one arrived
    │   └── CorruptRecordError
    ├── TransientError            tried again, counts as an attempt
    │   ├── UnavailableError      tried again, counts as none: it is not this work's fault
    │   │   ├── AmbiguousRefusalError   it may be this work's fault all the same
    │   │   └── DeferredError           others are taken meanwhile
    │   ├── NotYetError           tried again, counts as none
    │   ├── RefusedError          a write's precondition did not hold
    │   └── EffectConflictError   a document read for an effect has changed since
    ├── NothingToDoError          it was settled otherwise meanwhile
    ├── InProgressError           somebody else holds the work: asked again later
    │   └── LostClaimError        it was ours, and is not any more
    ├── SettledError              an earlier write of ours did it: answered with what it says
    ├── ClaimFirstError           the claim that waited was not had: it comes first now
    ├── StoppedError              a replay of one effect comes to what it must not take up
    ├── ConfigurationError        the process must not start
    └── CallerRefusedError
        ├── UnauthorizedError     401
        └── ForbiddenError        403

Any other exception of a handler counts as transient: unknown means retry, giving up is declared.
A docstring is the default message.
"""

from typing import ClassVar


class BundleError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class PermanentError(BundleError):
    """This can never succeed."""


class MalformedError(PermanentError):
    """The input is not what the contract says."""


class KeyReusedError(PermanentError):
    """This key was used before, for other work."""


class ReplayRefusedError(PermanentError):
    """This is not the work of the dead letter that it replays."""


class StepNameUsedTwiceError(PermanentError):
    """Two steps of one handler have the same name."""


class StepVanishedError(PermanentError):
    """A step that finished earlier is no longer in the handler."""


class StepChangedError(PermanentError):
    """A step that finished earlier was of another kind."""


class ResultNotStorableError(PermanentError):
    """A result cannot be stored exactly."""


class UnknownOutcomeError(PermanentError):
    """An attempt vanished midway; whether its effect happened is not known."""


class KeyKnownError(PermanentError):
    """The other side knows this key with other content."""


class CorruptRecordError(PermanentError):
    """The record of this work cannot be read; whether it was done is not known."""


class TransientError(BundleError):
    """This did not work now; it is worth another try."""


class UnavailableError(TransientError):
    """Somebody outside cannot do this now, or refuses us."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which they ask us to come again, where they say so."""
        self.outcome_unknown = outcome_unknown
        """Whether they may have done it all the same: the request was sent, its answer is lost."""
        self.is_repeatable = False
        """Whether a repeat does nothing if they have done it: they still know its key."""


class AmbiguousRefusalError(UnavailableError):
    """The other side refused; whether it refuses this or all of ours, its answer does not say."""


class DeferredError(UnavailableError):
    """The other side is well, but takes this one only later."""


class NotYetError(TransientError):
    """What this work needs has not happened yet."""


class RefusedError(TransientError):
    """A precondition of the write did not hold."""


class EffectConflictError(TransientError):
    """A document that an effect was computed from has changed since it was read."""


class NothingToDoError(BundleError):
    """There is nothing left to do."""

    def __init__(self, status: str, message: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        """What to answer: `skipped`, `duplicate`, `enqueued`."""


class InProgressError(BundleError):
    """Another delivery is at work on this."""

    def __init__(self, message: str | None = None, *, retry_after: float = 10.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which asking again makes sense."""


class LostClaimError(InProgressError):
    """The claim was lost to another delivery."""


class SettledError(BundleError):
    """An earlier write of ours, whose reply was lost, has settled the work."""


class ClaimFirstError(BundleError):
    """The claim, which waited for the first thing that needs it, could not be had so."""


class StoppedError(BundleError):
    """The replay of one effect stops at a step that is not finished."""


class ConfigurationError(BundleError):
    """A setting is missing or malformed."""


class CallerRefusedError(BundleError):
    """The caller may not call this."""

    code: ClassVar[int] = 401
    status: ClassVar[str] = "unauthorized"


class UnauthorizedError(CallerRefusedError):
    """No valid token came with the call."""


class ForbiddenError(CallerRefusedError):
    """The token belongs to somebody who may not call this."""

    code = 403
    status = "forbidden"

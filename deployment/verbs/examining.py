"""`doctor`, the deployed side: what is not as the table says, and what would not work, each with
the command that mends it."""

from collections.abc import Iterator
from dataclasses import dataclass

from deployment.kinds import accounts, functions, queues
from deployment.plan.changes import Plan
from deployment.table.target import BUILDS
from deployment.verbs import applying
from deployment.verbs.applying import Work


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be."""

    id: str
    state: str
    """What is wrong with it."""
    mend: str
    """What to do, mostly a command."""


def examine(work: Work) -> list[Finding]:
    """All that is found. Raises Failed where nothing can be read at all."""
    found = applying.plan(work)
    it = work.deployment()
    environment = work.target.environment.name
    if not accounts.notes(it, BUILDS):
        mend = f"./deploy.sh apply {environment}"
        return [Finding(id=f"environment/{environment}", state="is not deployed", mend=mend)]
    return [*_differences(found, environment), *_working(work)]


def _differences(found: Plan, environment: str) -> Iterator[Finding]:
    mend = f"./deploy.sh apply {environment}"
    for text in found.refusals:
        yield Finding(id="refused", state=text, mend="see the sentence")
    for change in found.changes:
        fields = "; ".join(map(str, change.differences))
        words = {"+": "is missing", "-": "is in the table no more"}
        state = fields or words.get(change.sign, "differs")
        yield Finding(id=f"{change.kind}/{change.name}", state=state, mend=mend)
    for note in found.notes:
        yield Finding(id="note", state=note, mend="see the sentence")


def _working(work: Work) -> Iterator[Finding]:
    it = work.deployment()
    environment = work.target.environment.name
    if paused := accounts.is_paused(it):
        mend = f"./deploy.sh resume {environment}"
        yield Finding(id=f"environment/{environment}", state=f"paused since {paused}", mend=mend)
    for name in functions.ours(it):
        for message in it.world.functions[name].get("stateMessages") or []:
            state = str(message.get("message", ""))[:300]
            mend = f"gcloud functions logs read {name} --region={work.target.region}"
            yield Finding(id=f"function/{name}", state=state, mend=mend)
    names = queues.ours(it)
    counts = it.world.each(lambda name: queues.backlog(it, name), names)
    for name, count in zip(names, counts, strict=True):
        if not count.isdigit():
            mend = f"gcloud tasks queues describe {name} --location={work.target.region}"
            yield Finding(id=f"queue/{name}", state=f"{count} tasks wait in it", mend=mend)

"""The verbs of `./deploy.sh`: from a command line to a result and an exit status."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deployment.errors import (
    DIFFERENT,
    FAILED,
    FINE,
    WRONG_USAGE,
    DeploymentError,
    TableError,
    UsageError,
)
from deployment.gcloud.calls import Gcloud
from deployment.gcloud.waiting import Patience
from deployment.gcloud.world import World
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Plan
from deployment.plan.deployment import Options
from deployment.table import bundle, checks, costs, declarations
from deployment.table.target import Target
from deployment.verbs import applying, describing, destroying, examining, pausing, proof, trying
from deployment.verbs.applying import Work

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path("functions") / "bundle.toml"
INTERRUPTED = 130

Verb = Callable[[Work, argparse.Namespace], int]


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit status."""
    try:
        given = _parser().parse_args(words)
        work = _work(given)
        _stop_when_told(work)
        try:
            verb: Verb = given.verb
            return verb(work, given)
        except KeyboardInterrupt:
            work.patience.stop()
            print("deploy.sh: interrupted; the same command goes on from here", file=sys.stderr)
            return INTERRUPTED
    except DeploymentError as error:
        for line in str(error).splitlines():
            print(f"deploy.sh: {line}", file=sys.stderr)
        return error.status


def _stop_when_told(work: Work) -> None:
    """Ctrl-C and the like end what waits, and let what gcloud is doing come to its end."""

    def stop(number: int, frame: object) -> None:
        work.patience.stop()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with 64."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        print(f"deploy.sh: {message}; see ./deploy.sh {self.prog} --help", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="", add_help=False)
    verbs = parser.add_subparsers(dest="name", required=True, parser_class=_Parser)
    planned = _verb(verbs, "plan", _plan, "what apply would change; exit status 2 if there is any")
    _allowing(planned)
    applied = _verb(verbs, "apply", _apply, "make it so; a second time changes nothing")
    _allowing(applied)
    applied.add_argument(
        "--check",
        action="store_true",
        help="start the functions under their pinned requirements first, in a fresh environment",
    )
    destroyed = _verb(verbs, "destroy", _destroy, "remove what is ours, with what waits in it")
    destroyed.add_argument("--yes", action="store_true", help="do not ask")
    destroyed.add_argument("--purge", action="store_true", help="queues, secrets and documents too")
    about = "what is not as it should be; exit status 2: something is not, 1: it could not be asked"
    _verb(verbs, "doctor", _doctor, about)
    _verb(verbs, "pause", _pause, "stop queues, schedules and subscriptions; they keep what waits")
    _verb(verbs, "resume", _resume, "set going what pause stopped")
    kept = _verb(verbs, "secret", _secret, "keep a secret's value, read from standard input")
    kept.add_argument("setting", nargs="?", metavar="NAME", help="like MESSAGING_TOKEN")
    described = _verb(verbs, "describe", _describe, "the environment, for other programs")
    for verb in (planned, described, verbs.choices["doctor"]):
        verb.add_argument("--json", action="store_true", help="as one JSON document")
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[_Parser]", name: str, run: Verb, about: str
) -> argparse.ArgumentParser:
    words = f"./deploy.sh {name} (ENV | --project P --region R)"
    usage = f"{words} [OPTIONS]" + (" NAME <FILE" if name == "secret" else "")
    verb = verbs.add_parser(name, prog=name, help=about, description=about, usage=usage)
    verb.set_defaults(verb=run)
    verb.add_argument("environment", nargs="?", metavar="ENV", help="of functions/bundle.toml")
    verb.add_argument("--env", metavar="ENV", help="the same")
    verb.add_argument("--project", metavar="P", help="with --region, instead of ENV")
    verb.add_argument("--region", metavar="R", help="like europe-west1")
    return verb


def _allowing(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--adopt",
        action="append",
        default=[],
        metavar="KIND/NAME",
        help="make a thing ours that exists and is not",
    )
    verb.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="KIND/NAME",
        help="remove what is in the table no more, with all that waits in it",
    )
    verb.add_argument(
        "--mend",
        action="append",
        default=[],
        choices=["roles"],
        help="roles: take away what our accounts may do and no row names",
    )
    verb.add_argument(
        "--change-provider",
        action="store_true",
        help="let the setting of who sends the messages be exchanged or unset",
    )
    verb.add_argument("--no-proof", action="store_true", help="send no no-op through it at the end")


def _work(given: argparse.Namespace) -> Work:
    target = _target(given)
    patience = Patience(_progress)
    gcloud = Gcloud(target.project)
    options = Options(
        adopt=frozenset(getattr(given, "adopt", ())),
        remove=frozenset(getattr(given, "remove", ())),
        mend=frozenset(getattr(given, "mend", ())),
        change_provider=getattr(given, "change_provider", False),
    )
    return Work(
        target=target,
        options=options,
        world=World(gcloud, target.region, patience),
        gcloud=gcloud,
        patience=patience,
        say=lambda line: print(line, flush=True),
        progress=_progress,
    )


def _target(given: argparse.Namespace) -> Target:
    if given.name == "secret" and given.setting is None:
        given.environment, given.setting = None, given.environment
    table = bundle.load(ROOT / TABLE)
    declared = declarations.read(ROOT)
    if problems := list(declarations.check(table, declared)):
        raise TableError("\n".join(problems))
    environment = bundle.environment(
        table,
        name=given.environment or given.env or "",
        project=given.project or "",
        region=given.region or "",
    )
    target = Target(
        bundle=table.with_overrides(environment),
        environment=environment,
        declared=declared,
        root=ROOT,
    )
    checks.check(target)
    return target


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _plan(work: Work, given: argparse.Namespace) -> int:
    found = applying.plan(work)
    if given.json:
        print(json.dumps(_document(found), indent=2))
    else:
        _show(found)
    applying.refuse(found)
    if not given.json:
        print("\n".join(costs.lines(work.target)))
        print(f"{len(found.changes)} to change")
    return DIFFERENT if found.changes else FINE


def _apply(work: Work, given: argparse.Namespace) -> int:
    if given.check:
        trying.check(work)
    found = applying.apply(work)
    for note in found.notes:
        print(f"! {note}")
    print(f"{work.changed} changed")
    if not work.changed or given.no_proof:
        return FINE
    return _prove(work)


def _prove(work: Work) -> int:
    """A no-op reaches each function; one that does not is told, and the command has failed."""
    _progress(f"… proof: tasks, a tick and events are sent; waiting {proof.PATIENCE} s at most")
    found = proof.prove(work)
    for what in found.seen:
        print(f"proved: {what}")
    if found.is_paused:
        print("! not proved: it is paused, so nothing was sent")
    for what in found.unseen:
        print(f"deploy.sh: not seen within {proof.PATIENCE} s: {what}", file=sys.stderr)
    for what in found.refused:
        print(f"deploy.sh: refused: {what}", file=sys.stderr)
    return FAILED if found.refused or found.unseen else FINE


def _destroy(work: Work, given: argparse.Namespace) -> int:
    found = destroying.changes(work, purge=given.purge)
    it = work.deployment()
    for line in (*destroying.waiting(it), *destroying.stays(it, purge=given.purge)):
        print(line)
    if not found:
        print("0 changed")
        return FINE
    if not given.yes:
        for change in found:
            print("\n".join(change.lines()))
        _confirm(work.target.project)
    destroying.destroy(work, purge=given.purge)
    print(f"{work.changed} changed")
    return FINE


def _confirm(project: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("destroy asks before it removes anything; add --yes where nobody answers")
    print("Type the project's id to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != project:
        raise DeploymentError("nothing was removed")


def _doctor(work: Work, given: argparse.Namespace) -> int:
    found = examining.examine(work)
    if given.json:
        print(json.dumps([vars(it) for it in found], indent=2))
    else:
        for it in found:
            print(f"{it.id}: {it.state}\n    {it.mend}")
        print(f"{len(found)} findings")
    return DIFFERENT if found else FINE


def _pause(work: Work, given: argparse.Namespace) -> int:
    print(pausing.pause(work))
    return FINE


def _resume(work: Work, given: argparse.Namespace) -> int:
    pausing.resume(work)
    print(f"{work.changed} changed")
    return FINE


def _secret(work: Work, given: argparse.Namespace) -> int:
    setting = given.setting
    if setting not in work.target.environment.secrets:
        names = ", ".join(work.target.environment.secrets) or "none"
        raise UsageError(f"{setting} is no secret of this environment; its secrets are: {names}")
    if sys.stdin.isatty():
        _progress(f"The value of {setting}, ended by Ctrl-D:")
    value = sys.stdin.read().rstrip("\n")
    if not value:
        raise UsageError(f"{setting} would be empty")
    applying.keep_secret(work, setting, value)
    _progress(f"kept; ./deploy.sh apply {work.target.environment.name} has the functions read it")
    return FINE


def _describe(work: Work, given: argparse.Namespace) -> int:
    print(json.dumps(describing.describe(work), indent=2))
    return FINE


def _show(found: Plan) -> None:
    for change in found.changes:
        print("\n".join(change.lines()))
    for note in found.notes:
        print(f"! {note}")


def _document(found: Plan) -> dict[str, Any]:
    changes = [
        {
            "id": f"{change.kind}/{change.name}",
            "state": {CREATE: "created", CHANGE: "changed", REMOVE: "removed"}[change.sign],
            "differences": [vars(it) for it in change.differences],
        }
        for change in found.changes
    ]
    return {"changes": changes, "notes": found.notes, "refusals": found.refusals}


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        sys.exit(FAILED)

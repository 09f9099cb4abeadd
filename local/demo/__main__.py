"""`./deploy.sh local --demo`: the shop's whole story in under a minute, then whether it is true.

Exit code 0 only if every effect happened once. `--firestore HOST:PORT` plays on another Firestore,
an empty one; its clock cannot be moved, so that takes minutes and leaves out what takes days.
"""

import sys
import time

from local.cli.parser import Parser
from local.demo.provider import Provider
from local.demo.stage import Stage, StageError
from local.demo.story import Story
from local.demo.timeline import Timeline
from local.demo.verdict import is_empty, problems

SEED, DUPLICATES = 11, 0.3


def main() -> int:
    """Play the story, print its figures, and return 0 if every effect happened once, else 1."""
    parser = Parser(prog="./deploy.sh local --demo")
    parser.add_argument("--firestore", metavar="HOST:PORT", help="another Firestore, empty")
    options = parser.parse_args()
    provider = Provider()
    print("Setting up a cloud for the demo …", flush=True)
    try:
        stage = Stage(
            firestore=options.firestore,
            MESSAGING_URL=f"{provider.url}/mail",
            INVENTORY_URL=f"{provider.url}/inventory",
            CART_REMINDER_DELAY="5" if options.firestore else "7200",
        )
    except StageError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        if not is_empty(stage):
            print(f"The Firestore at {options.firestore} is not empty.", file=sys.stderr)
            return 1
        return play(Story(stage, provider))
    finally:
        stage.close()
        provider.close()


def play(story: Story) -> int:
    """Play all scenes, print what came of each, and return the exit code."""
    print(f"From now on {DUPLICATES:.0%} of all deliveries are made twice (seed {SEED}).")
    story.stage.post("faults", seed=SEED, duplicates=DUPLICATES)
    timeline = Timeline(story.stage)
    started = time.monotonic()
    for number, (title, scene) in enumerate(story.scenes(), start=1):
        timeline.scene(number, title)
        scene()
        timeline.tell()
    return sum_up(story, timeline, time.monotonic() - started)


def sum_up(story: Story, timeline: Timeline, seconds: float) -> int:
    """Print the figures and every effect that did not happen once; return the exit code."""
    actions = timeline.actions
    print(
        f"\n{story.events} events published, {actions['received']} deliveries to the functions, "
        f"{actions['duplicate']} duplicates stopped,\n"
        f"{len(story.provider.mails)} messages sent, {story.provider.repeats()} request the "
        f"provider knew by its key, {len(story.provider.orders)} orders told to the inventory,\n"
        f"{actions['dead_lettered']} dead letter, {story.kills} killed function, "
        f"{seconds:.0f} seconds."
    )
    wrong = problems(story)
    for text in wrong:
        print(f"WRONG: {text}", file=sys.stderr)
    print("Not every effect happened once." if wrong else "Every effect happened once.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

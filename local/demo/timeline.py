"""What the functions did, told from their own log lines."""

from collections import Counter
from typing import Any

from local.demo.stage import Stage

Record = dict[str, Any]


class Timeline:
    """Prints a sentence for each new log record of the functions."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.actions: Counter[str] = Counter()

    def scene(self, number: int, title: str) -> None:
        """Print the title of a scene that begins."""
        print(f"\n{number:2}. {self._stage.now():%a %H:%M}  {title}", flush=True)

    def tell(self) -> None:
        """Print what the functions have logged since the last call."""
        self._stage.post("idle")
        lines: Counter[str] = Counter()
        for record in self._stage.new_records():
            self.actions[record.get("action", "")] += 1
            if sentence := _sentence(record):
                lines[sentence] += 1
        for sentence, times in lines.items():
            print(f"      {sentence}{f'  ×{times}' if times > 1 else ''}", flush=True)


def _sentence(record: Record) -> str | None:
    if record.get("campaign") == "reminder_sweep" or _is_busy_tick(record):
        return None  # every quarter of an hour
    who = record.get("user_id", "")
    match record.get("action"):
        case "message":
            return f"✉  {record['template']} to {who}"
        case "duplicate":
            return f"=  {_what(record)} again: done already, nothing happens"
        case "in_progress":
            return f"…  {_what(record)} again, while it is being worked on: to come back later"
        case "not_yet":
            return f"…  {_what(record)}: {record['message']}"
        case "dead_lettered":
            return f"✗  dead-lettered: {record['message']}"
        case "cancelled":
            return f"-  {record['message']} is cancelled"
        case "claimed" if record.get("attempt", 1) > 1:
            return f"↻  {_what(record)}: attempt {record['attempt']}, after its last finished step"
    return None


def _is_busy_tick(record: Record) -> bool:
    return record.get("function") == "fanout" and record.get("action") == "in_progress"


def _what(record: Record) -> str:
    if event := record.get("event_id"):
        return str(event)
    return f"the {record.get('campaign', 'reminder')} {'tick' if 'tick' in record else 'task'}"

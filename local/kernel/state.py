"""The folder a local cloud keeps its state in: database, logs, addresses for other programs, lock.

.local/
  cloud.sqlite   everything that survives a restart
  env            KEY=VALUE lines, while it runs
  lock           held, with the process id, while it runs
  logs/NAME.log  what each function printed
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

PRIVATE = 0o700
"""The permissions of a folder that is made here: what it holds is its owner's alone."""


class AlreadyRunning(Exception):
    """Another local cloud holds this folder."""


class Folder:
    """One state folder; made when it is locked for the first time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    @property
    def database(self) -> Path:
        """The path of the SQLite file."""
        return self.path / "cloud.sqlite"

    @property
    def env(self) -> Path:
        """The path of the file with the addresses."""
        return self.path / "env"

    @property
    def logs(self) -> Path:
        """The path of the folder with what the functions printed, one file each."""
        return self.path / "logs"

    def lock(self) -> None:
        """Take the folder for this process; raises AlreadyRunning. The lock of a dead process is
        free."""
        self.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        file = open(self.path / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held open
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            text = f"a local cloud is running in {self.path} already (process {holder})"
            raise AlreadyRunning(text) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def unlock(self) -> None:
        """Give the folder up, and remove the file with the addresses."""
        self.env.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
            self._lock = None

    def locked(self) -> bool:
        """Return whether a living process holds the folder."""
        try:
            with open(self.path / "lock", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def write_env(self, values: Mapping[str, str]) -> None:
        """Replace the addresses; a reader sees the old file or the new one."""
        draft = self.path / "env.new"
        draft.write_text("".join(f"{k}={v}\n" for k, v in values.items()), encoding="utf-8")
        draft.replace(self.env)

    def read_env(self) -> dict[str, str]:
        """Return the addresses; empty while no cloud runs."""
        try:
            lines = self.env.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)


def folder(option: str | None, environ: Mapping[str, str]) -> Folder:
    """Return the folder that `--state` names, else $LOCAL_STATE, else `.local` where one stands."""
    return Folder(Path(option or environ.get("LOCAL_STATE") or ".local"))

"""`python -m local up`: the cloud in the foreground, until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Mapping

from local.cli.parser import WRONG_USAGE, port
from local.cloud import PortTaken, Settings, running
from local.kernel.foreign import VARIABLES
from local.kernel.state import AlreadyRunning, Folder

DEFAULT_PORT = 8700


def run(folder: Folder, options: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit code. What is written is the user's alone."""
    os.umask(0o077)
    try:
        settings = Settings(
            project=options.project,
            port=_port(options.port, os.environ),
            reload=options.reload,
            foreign={name: given for name in VARIABLES if (given := getattr(options, name))},
        )
        _ignore_inherited(os.environ)
        return asyncio.run(_run(folder, settings))
    except (AlreadyRunning, PortTaken) as error:
        return _failed(str(error))
    except argparse.ArgumentTypeError as error:
        _failed(f"LOCAL_PORT: {error}")
        return WRONG_USAGE
    except OSError as error:
        return _failed(f"cannot keep the state in {folder.path}: {error.strerror or error}")
    except sqlite3.Error as error:
        return _failed(f"cannot use the state in {folder.database}: {error}")


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


async def _run(folder: Folder, settings: Settings) -> int:
    async with running(folder, settings) as cloud:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, cloud.stopping.set)
        env = cloud.env()
        services = ", ".join(f"{key}={env[key]}" for key in VARIABLES.values())
        print(f"local cloud: {env['LOCAL_URL']} ({services}), state in {folder.path}", flush=True)
        await cloud.functions.restored()
        await cloud.stopping.wait()
        print("local cloud: stopping", flush=True)
    return 1 if cloud.failure else 0


def _port(option: int | None, environ: Mapping[str, str]) -> int:
    return port(environ.get("LOCAL_PORT") or str(DEFAULT_PORT)) if option is None else option


def _ignore_inherited(environ: Mapping[str, str]) -> None:
    inherited = [f"{key}={environ[key]}" for key in VARIABLES.values() if environ.get(key)]
    if inherited:
        print(
            f"ignored: {', '.join(inherited)} (--firestore, --pubsub and --tasks choose a server)",
            file=sys.stderr,
        )

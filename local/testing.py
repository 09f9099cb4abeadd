"""A local cloud for tests of your own handlers, in the test's process and on free ports.

    from local.testing import cloud  # the fixture; a fresh cloud for every test

    SIGN_UP = {
        "event_id": "e-1",
        "event_type": "user.signed_up",
        "user_id": "ada",
        "payload": {"email": "ada@example.com"},
    }

    def test_a_welcome_is_sent_once(cloud):
        cloud.deploy_bundle()
        cloud.publish(SIGN_UP, SIGN_UP)
        cloud.idle()
        assert len(list(cloud.firestore().collection("messages").stream())) == 1

Every method returns when it is done. What the cloud refuses raises `Refused`, which says why.
"""

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import grpc
import pytest
import requests
from google.cloud import firestore, pubsub_v1, tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.cli.client import Refused, request
from local.cloud import Settings, running
from local.kernel import durations
from local.kernel.state import Folder

__all__ = ["LocalCloud", "Refused", "cloud", "local_cloud"]
REGION = "local"
UNASKED = ("--adopt", "database/(default)", "--no-proof")
"""The local cloud has its database from the start, and a proof takes some seconds."""
REGION_OF_BUNDLE = "europe-west1"
"""That of the environment `local` in functions/bundle.toml."""
DEPLOYED = "buildConfig,serviceConfig,eventTrigger"
"""All that `deploy` says of a function: what it does not say is taken away."""
CALL_TIMEOUT = 60.0
"""Seconds."""
JSON = dict[str, Any]


class LocalCloud:
    """A running local cloud. `local_cloud()` makes one; this attaches to any, by its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The state folder."""
        self.project = self.env["GOOGLE_CLOUD_PROJECT"]
        self.region = REGION
        self.url = self.env["LOCAL_URL"]
        self._closing = contextlib.ExitStack()

    @property
    def env(self) -> dict[str, str]:
        """The variables with which other programs use it, as it is now."""
        return Folder(self.path).read_env()

    # Deploying

    def deploy(
        self,
        source: str | Path,
        name: str,
        *,
        topic: str | None = None,
        env: Mapping[str, str] | None = None,
        entry_point: str | None = None,
        retry: bool = True,
        timeout: int = 60,
        concurrency: int = 8,
    ) -> str:
        """Run the function `name` of `source/main.py`; returns its URL once it takes requests.

        With `topic` it is woken by that topic's messages, else by HTTP. Deployed again, it is
        started anew with what is given now. It runs on the Python of `source/.venv`, where there is
        one with what it requires and the functions-framework; else on this one.
        """
        body: JSON = {
            "buildConfig": {
                "entryPoint": entry_point or name,
                "source": {"localPath": str(Path(source).resolve())},
            },
            "serviceConfig": {
                "environmentVariables": dict(env or {}),
                "timeoutSeconds": timeout,
                "availableCpu": "1",
                "maxInstanceRequestConcurrency": concurrency,
            },
        }
        if topic:
            policy = "RETRY_POLICY_RETRY" if retry else "RETRY_POLICY_DO_NOT_RETRY"
            body["eventTrigger"] = {"pubsubTopic": self.topic(topic), "retryPolicy": policy}
        return self._deployed(name, body)

    def deploy_bundle(
        self, source: str | Path = ".", *, environment: str = "local", **settings: str
    ) -> None:
        """Deploy an environment of `source/functions/bundle.toml`, with these settings.

        Functions, topic, queues and schedules: some ten seconds. From then on `queue` and `job`
        make theirs in the region of the bundle too. Raises Refused with what the deployment said.
        """
        path = Path(source).resolve()
        tools = [path / "local" / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        done = subprocess.run(
            [path / "deploy.sh", "apply", environment, *UNASKED],
            env={
                **os.environ,
                "PATH": os.pathsep.join(map(str, tools)),
                "LOCAL_URL": self.url,
                **settings,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(done.stderr.strip() or done.stdout.strip())
        self.region = REGION_OF_BUNDLE

    def undeploy(self, name: str) -> None:
        """End a function."""
        self.request("DELETE", f"/v2/{self._location}/functions/{name}")

    def queue(self, name: str, **settings: Any) -> str:
        """Create a Cloud Tasks queue (`rateLimits`, `retryConfig` as in REST); its full name."""
        full = f"{self._location}/queues/{name}"
        self.request("POST", f"/v2/{self._location}/queues", {"name": full, **settings})
        return full

    def job(self, name: str, schedule: str, url: str, **settings: Any) -> str:
        """Create a Scheduler job that POSTs to `url`; its full name. `settings` as in REST."""
        full = f"{self._location}/jobs/{name}"
        target = {"uri": url, **settings.pop("httpTarget", {})}
        body = {"name": full, "schedule": schedule, "httpTarget": target, **settings}
        self.request("POST", f"/v1/{self._location}/jobs", body)
        return full

    def topic(self, name: str) -> str:
        """A topic's full name; it is created if it is not there."""
        full = f"projects/{self.project}/topics/{name}"
        with contextlib.suppress(Refused):
            self.request("PUT", f"/v1/{full}", {})
        return full

    # Making things happen

    def publish(
        self, *events: Any, topic: str | None = None, attributes: Mapping[str, str] | None = None
    ) -> list[str]:
        """Publish events (any JSON value; bytes as they are); returns their message ids.

        `topic` may be left out while functions are fed by one topic only.
        """
        messages = [
            {"data": base64.b64encode(_data(event)).decode(), "attributes": dict(attributes or {})}
            for event in events
        ]
        body = {"messages": messages, **({"topic": topic} if topic else {})}
        return list(self._control("publish", body)["message_ids"])

    def tick(self, job: str, at: datetime | str | None = None) -> None:
        """Fire a Scheduler job now, or as the tick of `at`. Does not wait for its delivery."""
        text = at.isoformat() if isinstance(at, datetime) else at
        self._control("tick", {"job": job, **({"at": text} if text else {})})

    def advance(self, duration: str | timedelta) -> datetime:
        """Move the clock by `2h`, `45d`, … through everything that falls due; the new time.

        Warns of each function that reads the clock of the machine, which does not move.
        """
        if isinstance(duration, str):
            duration = timedelta(seconds=durations.seconds(duration))
        answer = self._control("advance", {"seconds": duration.total_seconds()})
        for note in answer.get("notes", ()):
            warnings.warn(note, stacklevel=2)
        return datetime.fromisoformat(answer["now"])

    def idle(self) -> datetime:
        """Return when nothing is in flight and nothing is due now; the time."""
        return datetime.fromisoformat(self._control("idle", {})["now"])

    def faults(self, **plan: Any) -> None:
        """From now on be nasty: `seed=1, duplicates=0.3, crashes=0.1, latency=0.02` (seconds), …

        The names are those of `local.kernel.faults.Plan`; `rules` is a list of dictionaries.
        Without arguments nothing goes wrong any more.
        """
        self._control("faults", plan)

    def crash(self, function: str, **trap: Any) -> None:
        """Kill a function's worker right after its next call to a service is applied.

        `service="Firestore"`, `method="Commit"`, `subject=` (part of a document's or task's name)
        choose the call, `count=3` the third such, `before=True` the moment before it is applied.
        """
        self._control("crash", {"function": function, **trap})

    def kill(self, function: str) -> int:
        """Kill a function's worker now; how many processes that were."""
        return int(self._control("crash", {"function": function, "now": True})["killed"])

    def reset(self) -> None:
        """Forget all that happened, the clock included: documents, tasks, messages, logs, faults.

        What is deployed stays: functions (started anew), topics, queues, jobs, secrets.
        """
        self._control("reset", {})

    def export(self, path: Path) -> None:
        """Write the whole state to a file: what is deployed, and all that has happened."""
        self._control("export", {"path": str(path.absolute())})

    def replace(self, path: Path) -> None:
        """Go on with an exported state in the place of this one."""
        self._control("import", {"path": str(path.absolute())})

    def call(
        self,
        function: str,
        body: Any = None,
        *,
        email: str | None = None,
        method: str = "POST",
        path: str = "/",
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Call an HTTP function; a body that is not bytes is sent as JSON.

        With `email` as that account, with a token for the function's audience.
        """
        prefix = function.upper().replace("-", "_")
        sent = dict(headers or {})
        if email:
            token = self.token(email, self.env[f"{prefix}_AUDIENCE"])
            sent["Authorization"] = f"Bearer {token}"
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        url = self.env[f"{prefix}_URL"] + path
        return requests.request(method, url, headers=sent, timeout=CALL_TIMEOUT, **content)

    # Looking

    def status(self) -> JSON:
        """Everything there is to see, as `python -m local status --json` prints it."""
        answer: JSON = request(self.url, "GET", "/local/v1/status")
        return answer

    def log(self, function: str) -> list[str]:
        """The lines a function printed."""
        path = self.path / "logs" / f"{function}.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def now(self) -> datetime:
        """The cloud's time."""
        return datetime.fromisoformat(self.status()["clock"]["now"])

    def token(self, email: str, audience: str, **claims: Any) -> str:
        """An ID token as the platform attaches it; `claims` override its own (None: removed)."""
        query = {"email": email, "audience": audience, "claims": json.dumps(claims)}
        return requests.get(f"{self.url}/token", query, timeout=CALL_TIMEOUT).text

    def firestore(self, database: str = "(default)") -> firestore.Client:
        """The stock client; closed with the cloud."""
        with patch.dict(os.environ, self._emulators):
            client = firestore.Client(project=self.project, database=database)
        self._closing.callback(client.close)
        return client

    def tasks(self) -> tasks_v2.CloudTasksClient:
        """The stock client; closed with the cloud."""
        channel = grpc.insecure_channel(self.env["CLOUD_TASKS_EMULATOR_HOST"])
        self._closing.callback(channel.close)
        return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))

    def publisher(self, **options: Any) -> pubsub_v1.PublisherClient:
        """The stock client; stopped with the cloud."""
        with patch.dict(os.environ, self._emulators):
            client = pubsub_v1.PublisherClient(**options)
        self._closing.callback(client.stop)
        return client

    def subscriber(self) -> pubsub_v1.SubscriberClient:
        """The stock client; closed with the cloud."""
        with patch.dict(os.environ, self._emulators):
            client = pubsub_v1.SubscriberClient()
        self._closing.callback(client.close)
        return client

    def request(self, verb: str, path: str, body: Any = None, **query: str) -> Any:
        """Ask the REST side, in Google's paths and shapes."""
        return request(self.url, verb, f"{path}?{urlencode(query)}" if query else path, body)

    def close(self) -> None:
        """Close the clients it gave out."""
        self._closing.close()

    @property
    def _location(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def _emulators(self) -> dict[str, str]:
        return {key: value for key, value in self.env.items() if key.endswith("_EMULATOR_HOST")}

    def _control(self, verb: str, body: JSON) -> JSON:
        answer: JSON = request(self.url, "POST", f"/local/v1/{verb}", body)
        return answer

    def _deployed(self, name: str, body: JSON) -> str:
        path = f"/v2/{self._location}/functions"
        try:
            self.request("GET", f"{path}/{name}")
            done = self.request("PATCH", f"{path}/{name}", body, updateMask=DEPLOYED)
        except Refused as refused:
            if refused.code != 404:
                raise
            done = self.request("POST", path, body, functionId=name)
        if "error" in done:
            raise Refused(done["error"]["message"])
        return str(done["response"]["url"])


@contextlib.contextmanager
def local_cloud(path: Path | None = None, **settings: Any) -> Iterator[LocalCloud]:
    """A running cloud, ended at the end; its state in `path` (None: a folder that is removed).

    `settings` are those of `local.cloud.Settings`; functions are killed at the end. Started again
    in the same folder it goes on where it was. Use it for fixtures of other scopes than `cloud`'s.
    """
    config = Settings(**{"grace": 0, **settings})
    with contextlib.ExitStack() as stack:
        folder = path or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="local-")))
        stack.enter_context(_in_thread(Folder(folder), config))
        yield stack.enter_context(contextlib.closing(LocalCloud(folder)))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A fresh local cloud for one test."""
    with local_cloud(tmp_path / "cloud") as made:
        yield made


@contextlib.contextmanager
def _in_thread(folder: Folder, settings: Settings) -> Iterator[None]:
    """Run the cloud on an event loop of its own, in a thread of this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local cloud", daemon=True)
    thread.start()
    try:
        context = running(folder, settings)
        asyncio.run_coroutine_threadsafe(_entered(context), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _entered(context: Any) -> None:
    cloud = await context.__aenter__()
    await cloud.functions.restored()


def _data(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()

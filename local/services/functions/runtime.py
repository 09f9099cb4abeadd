"""What a function's description asks for, checked, and the environment its process gets.

Descriptions are Cloud Functions v2 `Function` JSON, with one field of our own:
`buildConfig.source.localPath`, the absolute directory of the source.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.kernel.refusals import invalid

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""All that a function sees of the environment of whoever started the cloud."""
NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/functions/([a-z][a-z0-9-]{2,61}[a-z0-9])")
LONGEST_EVENT, LONGEST_HTTP = 540, 3600
"""Seconds: the largest timeouts of event-driven and of HTTP functions."""
DEFAULT_TIMEOUT = 60
DEFAULT_ACCOUNT = "functions@{project}.iam.gserviceaccount.com"
MOST_CONCURRENT = 1000
RUNTIMES = ("python310", "python311", "python312", "python313", "python314")
"""Those that can still be deployed; what runs here is always the Python that runs the cloud."""
QUANTITY = re.compile(r"\d+(\.\d+)?([kMG]i?)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = {
    *("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"),
    "PORT",
}
"""Variables that the platform sets itself and lets nobody else set."""


def parts(name: str) -> tuple[str, str, str]:
    """Return the project, the location and the id in a function's full name."""
    match = NAME.fullmatch(name)
    if not match:
        raise invalid(
            f"{name} is not a function's name: projects/P/locations/L/functions/ID, and the id has "
            "4 to 63 lower-case letters, digits and hyphens, the first a letter"
        )
    return match[1], match[2], match[3]


def source(body: Mapping[str, Any]) -> Path:
    """Return the directory from which the function is run."""
    text = body.get("buildConfig", {}).get("source", {}).get("localPath", "")
    path = Path(text)
    if not text or not path.is_absolute():
        raise invalid(f"buildConfig.source.localPath must be an absolute directory, not {text!r}")
    if not (path / "main.py").is_file():
        raise invalid(f"Build failed: missing main.py in {path}")
    return path


def entry_point(body: Mapping[str, Any]) -> str:
    """Return the name of the Python function that is the entry point."""
    named = body.get("buildConfig", {}).get("entryPoint", "")
    return str(named or parts(body["name"])[2])


def timeout(body: Mapping[str, Any]) -> int:
    """Return how many seconds a request may take."""
    return int(_service(body).get("timeoutSeconds") or DEFAULT_TIMEOUT)


def concurrency(body: Mapping[str, Any]) -> int:
    """Return how many requests are served at once."""
    return int(_service(body).get("maxInstanceRequestConcurrency") or 1)


def account(body: Mapping[str, Any]) -> str:
    """Return the email of the account as which the function runs."""
    named = _service(body).get("serviceAccountEmail")
    return str(named or DEFAULT_ACCOUNT.format(project=parts(body["name"])[0]))


def check(body: Mapping[str, Any]) -> None:
    """Raise INVALID_ARGUMENT for a description that the platform would refuse."""
    parts(body["name"])
    source(body)
    longest = LONGEST_EVENT if body.get("eventTrigger") else LONGEST_HTTP
    if not 1 <= timeout(body) <= longest:
        raise invalid(f"timeoutSeconds must be from 1 to {longest}, not {timeout(body)}")
    if not 1 <= concurrency(body) <= MOST_CONCURRENT:
        raise invalid(
            f"maxInstanceRequestConcurrency must be from 1 to {MOST_CONCURRENT}, "
            f"not {concurrency(body)}"
        )
    _check_build(body)
    _check_instances(_service(body))
    _check_variables(body)
    cpu = _service(body).get("availableCpu")
    if concurrency(body) > 1 and cpu and float(cpu) < 1:
        raise invalid(f"a concurrency above 1 needs at least 1 CPU, not {cpu}")


def secret_references(body: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the secrets in the function's environment: variable → full name and version."""
    project = parts(body["name"])[0]
    return {
        one["key"]: (f"projects/{project}/secrets/{one['secret']}", one["version"])
        for one in _service(body).get("secretEnvironmentVariables", [])
    }


def _check_build(body: Mapping[str, Any]) -> None:
    runtime = body.get("buildConfig", {}).get("runtime")
    if runtime and runtime not in RUNTIMES:
        raise invalid(f"runtime {runtime!r} is none of {', '.join(RUNTIMES)}")


def _check_instances(config: Mapping[str, Any]) -> None:
    for field in ("availableMemory", "availableCpu"):
        if config.get(field) and not QUANTITY.fullmatch(str(config[field])):
            raise invalid(f"{field} {config[field]!r} is not a quantity, such as 512Mi or 1")
    least, most = int(config.get("minInstanceCount", 0)), int(config.get("maxInstanceCount", 0))
    if most and least > most:
        raise invalid(
            f"Could not create or update Cloud Run service: the minimum of {least} instances "
            f"exceeds the maximum of {most}"
        )


def _check_variables(body: Mapping[str, Any]) -> None:
    variables = _service(body).get("environmentVariables", {})
    secrets = secret_references(body)
    for name in (*variables, *secrets):
        if not VARIABLE.fullmatch(name) or name in RESERVED:
            raise invalid(f"The following reserved or invalid env names were provided: {name}")
    for name in secrets:
        if name in variables:
            raise invalid(
                f"Secret environment variable overlaps non secret environment variable: {name}"
            )


def posts_to_tasks(body: Mapping[str, Any]) -> bool:
    """Return whether a function asks Cloud Tasks over plain HTTP, as firebase-admin does."""
    requirements = source(body) / "requirements.txt"
    return requirements.is_file() and "firebase-admin" in requirements.read_text(errors="replace")


def environment(
    body: Mapping[str, Any],
    *,
    port: int,
    revision: int,
    services: Mapping[str, str],
    secrets: Mapping[str, str],
    run: Path,
) -> dict[str, str]:
    """Return all variables of the function's process.

    The deployed ones cannot replace the platform's; GOOGLE_CLOUD_PROJECT, which the platform does
    not set, is only a default. `secrets` are variables with the values of secrets. `run` is a
    directory for the server's control socket.
    """
    project, _, name = parts(body["name"])
    inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
    deployed = _service(body).get("environmentVariables", {})
    return {
        **inherited,
        "GOOGLE_CLOUD_PROJECT": project,
        **{key: str(value) for key, value in deployed.items()},
        **secrets,
        **services,
        # The metadata server of each function: it knows that function's account.
        "GCE_METADATA_HOST": f"{services['GCE_METADATA_HOST']}/{account(body)}",
        "FUNCTION_TARGET": entry_point(body),
        "FUNCTION_SIGNATURE_TYPE": "cloudevent" if body.get("eventTrigger") else "http",
        "K_SERVICE": name,
        "K_CONFIGURATION": name,
        "K_REVISION": f"{name}-{revision:05d}-loc",
        "PORT": str(port),
        "CLOUD_RUN_TIMEOUT_SECONDS": str(timeout(body)),
        "WORKERS": "1",
        "THREADS": str(concurrency(body)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_RUNTIME_DIR": str(run),
    }


def _service(body: Mapping[str, Any]) -> dict[str, Any]:
    return body.get("serviceConfig") or {}

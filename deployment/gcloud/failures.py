"""What gcloud's errors mean: by status and reason, and by text only where it gives nothing else.

The table `PASSING` holds the errors of a project in which something was just made. Those that can
also be a real refusal are waited for only if this bundle changed the grant, the account or the
service that they are about a short while ago; `needs` says which.
"""

import re
from dataclasses import dataclass

SERVICE_DISABLED = "SERVICE_DISABLED"
NUMBERS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "CONFLICT",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP. A CONFLICT is ALREADY_EXISTS or ABORTED; the functions API does not say which."""
CODES = {3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 7: "PERMISSION_DENIED", 9: "FAILED_PRECONDITION"}
"""gRPC, as an operation has them."""
NAMES = {*NUMBERS.values(), "ALREADY_EXISTS", "ABORTED", "UNIMPLEMENTED", "CANCELLED"}

RESPONSE = re.compile(r"(?:ResponseError|HttpError|HTTPError):? (?:status=\[)?(\d{3})")
OPERATION = re.compile(r"OperationError: code=(\d+)")
NAMED = re.compile(r"(?:^|\) |: )([A-Z_]{7,}): ", re.MULTILINE)
REASON = re.compile(r"^\s*reason: ([A-Z_]+)\s*$", re.MULTILINE)

GRANT, ACCOUNT, SERVICE, DATABASE, METRIC = "grant", "account", "service", "database", "metric"
NOTHING = ""


@dataclass(frozen=True, kw_only=True)
class Known:
    """An error that passes by itself."""

    text: str
    """A part of it; empty: the status alone."""
    status: str = ""
    """Empty: whatever status."""
    needs: str = NOTHING
    """What this bundle must have changed a short while ago; `NOTHING`: it passes in any case."""
    waits_for: str
    """What is said while it is waited for."""
    source: str


PASSING = (
    Known(
        text="unable to queue the operation",
        status="CONFLICT",
        waits_for="another operation on this function",
        source="github.com/google-github-actions/deploy-cloud-functions/issues/461",
    ),
    Known(
        text="Could not create bucket gcf-v2-sources",
        status="CONFLICT",
        waits_for="the bucket that the first functions of a region share",
        source="github.com/hashicorp/terraform-provider-google/issues/25294",
    ),
    Known(
        text="concurrent policy changes",
        waits_for="another change of the same policy",
        source="cloud.google.com/iam/docs/retry-strategy",
    ),
    Known(
        text="",
        status="ABORTED",
        waits_for="another change of the same thing",
        source="google.rpc.Code: ABORTED, retry at a higher level",
    ),
    Known(
        text="",
        status="RESOURCE_EXHAUSTED",
        waits_for="the quota of requests in a minute",
        source="google.rpc.Code; gcloud itself repeats after 5xx only",
    ),
    Known(
        text="",
        status="UNAVAILABLE",
        waits_for="the service to answer",
        source="google.rpc.Code: UNAVAILABLE, retry with backoff",
    ),
    Known(
        text="has not been used in project",
        needs=SERVICE,
        waits_for="a service that was just enabled",
        source="cloud.google.com/service-usage/docs/enable-disable",
    ),
    Known(
        text="while using the Eventarc Service Agent",
        needs=SERVICE,
        waits_for="the permissions of Eventarc's agent, which is made at its first use",
        source="github.com/pulumi/pulumi-gcp/issues/1290",
    ),
    Known(
        text="Unable to retrieve the repository metadata",
        needs=SERVICE,
        waits_for="the permissions of Cloud Functions' agent",
        source="github.com/firebase/firebase-tools/issues/10731",
    ),
    Known(
        text="eventarc.events.receiveEvent",
        needs=GRANT,
        waits_for="the roles of the account that calls for events",
        source="github.com/GoogleCloudPlatform/terraform-docs-samples/issues/486",
    ),
    Known(
        text="missing permission on the build service account",
        needs=GRANT,
        waits_for="the roles of the account that builds",
        source="cloud.google.com/functions/docs/troubleshooting#build-service-account",
    ),
    Known(
        text="iam.serviceaccounts.actas",
        needs=ACCOUNT,
        waits_for="the right to act as an account that was just made",
        source="cloud.google.com/functions/docs/reference/iam/roles#additional-configuration",
    ),
    Known(
        text="Permission denied on secret",
        needs=GRANT,
        waits_for="the role to read a secret",
        source="cloud.google.com/run/docs/configuring/services/secrets",
    ),
    Known(
        text="ervice account",
        status="NOT_FOUND",
        needs=ACCOUNT,
        waits_for="an account that was just made",
        source="cloud.google.com/iam/docs/retry-strategy",
    ),
    Known(
        text="ervice account",
        status="INVALID_ARGUMENT",
        needs=ACCOUNT,
        waits_for="an account that was just made",
        source="cloud.google.com/iam/docs/retry-strategy",
    ),
    Known(
        text="erviceAccounts/",
        status="PERMISSION_DENIED",
        needs=ACCOUNT,
        waits_for="an account that was just made",
        source="cloud.google.com/iam/docs/retry-strategy",
    ),
    Known(
        text="The database ",
        status="NOT_FOUND",
        needs=DATABASE,
        waits_for="the database that is being made",
        source="gcloud firestore databases create does not wait for its operation",
    ),
    Known(
        text="Cannot find metric(s) that match",
        needs=METRIC,
        waits_for="a metric that was just made",
        source="cloud.google.com/logging/docs/logs-based-metrics: it could take up to 10 minutes",
    ),
)

NOT_THERE = ("Policy binding with the specified", "Resource not found (resource=")
"""gcloud's own sentence for a binding that is not there, and that of `gcloud pubsub`."""
NO_LOCATION = ("is not a valid location", "is not found or access is unauthorized")
"""What Cloud Tasks and Cloud Scheduler, and Cloud Functions, say of a region where they are not."""
HINTS = (
    (
        "existed too recently",
        "Cloud Tasks refuses the name of a deleted queue for up to 7 days: wait, or give the "
        "environment another prefix",
    ),
)
"""What else is said of an error that nobody can mend by running the command again."""
NO_COMMAND = (
    "Invalid choice: ",
    "is not installed",
    "You do not currently have this command group",
)
"""What a gcloud says that lacks a command, or the component it is in."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a command failed."""

    status: str
    """Like `NOT_FOUND`; empty where gcloud does not say."""
    reason: str
    """Like `SERVICE_DISABLED`; mostly empty."""
    text: str

    @property
    def is_not_there(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == "NOT_FOUND" or any(it in self.text for it in NOT_THERE)

    @property
    def is_disabled(self) -> bool:
        """Whether the service is not enabled in the project, so that nothing of it can exist."""
        return self.reason == SERVICE_DISABLED or "has not been used in project" in self.text

    @property
    def is_elsewhere(self) -> bool:
        """Whether the service does not exist in the region, so that nothing of it can."""
        return any(it in self.text for it in NO_LOCATION)

    @property
    def is_denied(self) -> bool:
        """Whether whoever runs this may not do it."""
        return self.status in ("PERMISSION_DENIED", "UNAUTHENTICATED") and not self.is_disabled

    @property
    def has_no_command(self) -> bool:
        """Whether this gcloud lacks the command."""
        return any(it in self.text for it in NO_COMMAND)

    @property
    def explained(self) -> str:
        """gcloud's words, and what else there is to say."""
        hints = [hint for text, hint in HINTS if text in self.text]
        return "; ".join([self.text, *hints])

    def passing(self) -> Known | None:
        """The row of `PASSING` that this is."""
        return next((row for row in PASSING if self._is(row)), None)

    def _is(self, row: Known) -> bool:
        return row.status in ("", self.status) and row.text.lower() in self.text.lower()


def read(text: str) -> Failure:
    """What gcloud printed on standard error, understood."""
    reason = REASON.search(text)
    return Failure(status=_status(text), reason=reason[1] if reason else "", text=text.strip())


def _status(text: str) -> str:
    if found := RESPONSE.search(text):
        return NUMBERS.get(int(found[1]), found[1])
    if found := OPERATION.search(text):
        return CODES.get(int(found[1]), found[1])
    return next((name for name in NAMED.findall(text) if name in NAMES), "")

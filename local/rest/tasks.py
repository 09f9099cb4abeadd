"""Cloud Tasks v2, REST."""

from local.rest.routes import Route
from local.rest.transcoding import Binding, routes
from local.rpc import Service

LOCATION = "projects/*/locations/*"
QUEUE = f"{LOCATION}/queues/*"
TASK = f"{QUEUE}/tasks/*"

BINDINGS = (
    Binding("GET", f"/v2/{{parent={LOCATION}}}/queues", "ListQueues"),
    Binding("POST", f"/v2/{{parent={LOCATION}}}/queues", "CreateQueue", "queue"),
    Binding("GET", f"/v2/{{name={QUEUE}}}", "GetQueue"),
    Binding("PATCH", f"/v2/{{queue.name={QUEUE}}}", "UpdateQueue", "queue"),
    Binding("DELETE", f"/v2/{{name={QUEUE}}}", "DeleteQueue"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:pause", "PauseQueue", "*"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:resume", "ResumeQueue", "*"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:purge", "PurgeQueue", "*"),
    Binding("GET", f"/v2/{{parent={QUEUE}}}/tasks", "ListTasks"),
    Binding("POST", f"/v2/{{parent={QUEUE}}}/tasks", "CreateTask", "*"),
    Binding("GET", f"/v2/{{name={TASK}}}", "GetTask"),
    Binding("DELETE", f"/v2/{{name={TASK}}}", "DeleteTask"),
    Binding("POST", f"/v2/{{name={TASK}}}:run", "RunTask", "*"),
)


def tasks_routes(service: Service) -> list[Route]:
    """Its routes."""
    return routes(service, BINDINGS)

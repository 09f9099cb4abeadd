"""Pub/Sub v1, REST."""

from local.http.rest.routes import Route
from local.http.rest.transcoding import Binding, routes
from local.kernel.rpc import Service

PROJECT = "projects/*"
TOPIC = f"{PROJECT}/topics/*"
SUBSCRIPTION = f"{PROJECT}/subscriptions/*"

PUBLISHER = (
    Binding("PUT", f"/v1/{{name={TOPIC}}}", "CreateTopic", "*"),
    Binding("PATCH", f"/v1/{{topic.name={TOPIC}}}", "UpdateTopic", "*"),
    Binding("GET", f"/v1/{{topic={TOPIC}}}", "GetTopic"),
    Binding("GET", f"/v1/{{project={PROJECT}}}/topics", "ListTopics"),
    Binding("GET", f"/v1/{{topic={TOPIC}}}/subscriptions", "ListTopicSubscriptions"),
    Binding("GET", f"/v1/{{topic={TOPIC}}}/snapshots", "ListTopicSnapshots"),
    Binding("DELETE", f"/v1/{{topic={TOPIC}}}", "DeleteTopic"),
    Binding("POST", f"/v1/{{topic={TOPIC}}}:publish", "Publish", "*"),
    Binding("POST", f"/v1/{{subscription={SUBSCRIPTION}}}:detach", "DetachSubscription"),
)
SUBSCRIBER = (
    Binding("PUT", f"/v1/{{name={SUBSCRIPTION}}}", "CreateSubscription", "*"),
    Binding("PATCH", f"/v1/{{subscription.name={SUBSCRIPTION}}}", "UpdateSubscription", "*"),
    Binding("GET", f"/v1/{{subscription={SUBSCRIPTION}}}", "GetSubscription"),
    Binding("GET", f"/v1/{{project={PROJECT}}}/subscriptions", "ListSubscriptions"),
    Binding("DELETE", f"/v1/{{subscription={SUBSCRIPTION}}}", "DeleteSubscription"),
    Binding("POST", f"/v1/{{subscription={SUBSCRIPTION}}}:pull", "Pull", "*"),
    Binding("POST", f"/v1/{{subscription={SUBSCRIPTION}}}:acknowledge", "Acknowledge", "*"),
    Binding(
        "POST", f"/v1/{{subscription={SUBSCRIPTION}}}:modifyAckDeadline", "ModifyAckDeadline", "*"
    ),
    Binding(
        "POST", f"/v1/{{subscription={SUBSCRIPTION}}}:modifyPushConfig", "ModifyPushConfig", "*"
    ),
    Binding("POST", f"/v1/{{subscription={SUBSCRIPTION}}}:seek", "Seek", "*"),
    Binding("GET", f"/v1/{{project={PROJECT}}}/snapshots", "ListSnapshots"),
)


def pubsub_routes(publisher: Service, subscriber: Service) -> list[Route]:
    """Return the routes of the publisher's and the subscriber's methods."""
    return [*routes(publisher, PUBLISHER), *routes(subscriber, SUBSCRIBER)]

"""The protobuf classes of Cloud Tasks v2, raw: several times faster than their proto-plus wrappers.

`Any`, because the generated classes carry no types.
"""

from typing import Any

from google.cloud.tasks_v2 import types

Queue: Any = types.Queue.pb()
Task: Any = types.Task.pb()
RetryConfig: Any = types.RetryConfig.pb()
HttpMethod: Any = types.HttpMethod
View: Any = types.Task.View
State: Any = types.Queue.State

CreateQueueRequest: Any = types.CreateQueueRequest.pb()
GetQueueRequest: Any = types.GetQueueRequest.pb()
ListQueuesRequest: Any = types.ListQueuesRequest.pb()
ListQueuesResponse: Any = types.ListQueuesResponse.pb()
UpdateQueueRequest: Any = types.UpdateQueueRequest.pb()
DeleteQueueRequest: Any = types.DeleteQueueRequest.pb()
PauseQueueRequest: Any = types.PauseQueueRequest.pb()
ResumeQueueRequest: Any = types.ResumeQueueRequest.pb()
PurgeQueueRequest: Any = types.PurgeQueueRequest.pb()

CreateTaskRequest: Any = types.CreateTaskRequest.pb()
GetTaskRequest: Any = types.GetTaskRequest.pb()
ListTasksRequest: Any = types.ListTasksRequest.pb()
ListTasksResponse: Any = types.ListTasksResponse.pb()
DeleteTaskRequest: Any = types.DeleteTaskRequest.pb()
RunTaskRequest: Any = types.RunTaskRequest.pb()

BatchCreateTasksRequest: Any = types.BatchCreateTasksRequest.pb()
BatchCreateTasksResponse: Any = types.BatchCreateTasksResponse.pb()
BatchCreateTasksMetadata: Any = types.BatchCreateTasksMetadata.pb()
BatchDeleteTasksRequest: Any = types.BatchDeleteTasksRequest.pb()
BatchDeleteTasksMetadata: Any = types.BatchDeleteTasksMetadata.pb()
CreateState: Any = types.BatchCreateTasksMetadata.State
DeleteState: Any = types.BatchDeleteTasksMetadata.State

CmekConfig: Any = types.CmekConfig.pb()
GetCmekConfigRequest: Any = types.GetCmekConfigRequest.pb()
UpdateCmekConfigRequest: Any = types.UpdateCmekConfigRequest.pb()

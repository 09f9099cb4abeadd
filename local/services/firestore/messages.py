"""The protocol's messages as raw protobuf classes, much faster than the client's wrappers."""

from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.types import query_profile
from google.protobuf import empty_pb2, timestamp_pb2

Timestamp = timestamp_pb2.Timestamp
Empty = empty_pb2.Empty

Document = types.Document.pb()
Value = types.Value.pb()
ArrayValue = types.ArrayValue.pb()
MapValue = types.MapValue.pb()
DocumentMask = types.DocumentMask.pb()
Precondition = types.Precondition.pb()
TransactionOptions = types.TransactionOptions.pb()
Write = types.Write.pb()
WriteResult = types.WriteResult.pb()
FieldTransform = types.DocumentTransform.FieldTransform.pb()
StructuredQuery = types.StructuredQuery.pb()
StructuredAggregationQuery = types.StructuredAggregationQuery.pb()
Cursor = types.Cursor.pb()
ExplainMetrics = query_profile.ExplainMetrics.pb()

GetDocumentRequest = types.GetDocumentRequest.pb()
ListDocumentsRequest = types.ListDocumentsRequest.pb()
ListDocumentsResponse = types.ListDocumentsResponse.pb()
CreateDocumentRequest = types.CreateDocumentRequest.pb()
UpdateDocumentRequest = types.UpdateDocumentRequest.pb()
DeleteDocumentRequest = types.DeleteDocumentRequest.pb()
BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
BeginTransactionRequest = types.BeginTransactionRequest.pb()
BeginTransactionResponse = types.BeginTransactionResponse.pb()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()
RollbackRequest = types.RollbackRequest.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
RunAggregationQueryRequest = types.RunAggregationQueryRequest.pb()
RunAggregationQueryResponse = types.RunAggregationQueryResponse.pb()
PartitionQueryRequest = types.PartitionQueryRequest.pb()
PartitionQueryResponse = types.PartitionQueryResponse.pb()
ListCollectionIdsRequest = types.ListCollectionIdsRequest.pb()
ListCollectionIdsResponse = types.ListCollectionIdsResponse.pb()
BatchWriteRequest = types.BatchWriteRequest.pb()
BatchWriteResponse = types.BatchWriteResponse.pb()
WriteRequest = types.WriteRequest.pb()
WriteResponse = types.WriteResponse.pb()
ListenRequest = types.ListenRequest.pb()
ListenResponse = types.ListenResponse.pb()
ExecutePipelineRequest = types.ExecutePipelineRequest.pb()
ExecutePipelineResponse = types.ExecutePipelineResponse.pb()

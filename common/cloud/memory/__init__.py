"""Firestore, Cloud Tasks and Pub/Sub in memory: a handler runs in milliseconds, with no socket."""

from common.cloud.memory.documents import MemoryFirestore
from common.cloud.memory.mishaps import Mishap, TaskMishap
from common.cloud.memory.queue import MemoryTasks
from common.cloud.memory.topics import MemoryTopics

__all__ = ["MemoryFirestore", "MemoryTasks", "MemoryTopics", "Mishap", "TaskMishap"]

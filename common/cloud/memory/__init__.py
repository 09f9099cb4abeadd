"""Firestore and Cloud Tasks in memory: a test runs a handler in milliseconds, without a socket."""

from common.cloud.memory.documents import MemoryFirestore
from common.cloud.memory.mishaps import Mishap, TaskMishap
from common.cloud.memory.queue import MemoryTasks

__all__ = ["MemoryFirestore", "MemoryTasks", "Mishap", "TaskMishap"]

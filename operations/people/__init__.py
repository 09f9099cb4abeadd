"""Somebody wants to be forgotten."""

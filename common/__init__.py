"""What every bundle uses and nobody edits: all but the functions themselves."""

__version__ = "0.2.0"
"""See CHANGELOG.md."""

"""The commands that a data owner types."""

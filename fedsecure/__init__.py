"""Federated learning in which nobody ever sees a data owner's model update."""

PROTOCOL_VERSION = 2

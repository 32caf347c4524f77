"""Flower at both ends: the agent's mod, the owner's strategy, and the runtime."""

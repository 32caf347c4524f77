"""The agent: its loop, its settings, what it looks after by itself."""

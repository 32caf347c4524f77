"""What an agent must not forget, in its SQLite file."""

"""One revision until 0.1.0, edited in place."""

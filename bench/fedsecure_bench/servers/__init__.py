"""Real aggregator processes under load, over TLS."""

"""Bytes between parties: the client of an aggregator, TLS, proxies, limits."""

"""The aggregator store and the spool: what is kept, and where."""

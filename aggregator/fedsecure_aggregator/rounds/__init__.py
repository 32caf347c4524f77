"""A round at this aggregator: granted, reported to, folded, opened."""

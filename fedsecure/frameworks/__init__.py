"""Where a learning framework meets the two ends of a round."""

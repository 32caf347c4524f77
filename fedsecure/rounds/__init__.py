"""The two ends of a round, without Flower: model owner and contributor."""

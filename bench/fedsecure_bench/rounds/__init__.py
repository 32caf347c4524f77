"""Whole rounds on Flower's real runtime, protected and not."""

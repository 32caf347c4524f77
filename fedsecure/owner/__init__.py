"""The model owner's end: rounds, what they are proposed with, the round store."""

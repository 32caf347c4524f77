"""What may happen and what is refused: pure, no clock, disk or network."""

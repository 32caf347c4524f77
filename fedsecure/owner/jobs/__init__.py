"""What a model owner has rounds for."""

"""The model owner's end of one round."""

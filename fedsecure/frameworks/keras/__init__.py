"""Keras: a study's model as the model owner builds it, and as it travels."""

"""Keras: a study's model as its owner builds it and as it travels (`model_source`)."""

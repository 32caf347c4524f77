"""Keras: models as their owner builds and keeps them.

model_source  a study's model, as it travels
saved_model   a model of a file
"""

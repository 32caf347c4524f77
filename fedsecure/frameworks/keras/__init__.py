"""Keras: models as their owner builds, keeps and serves them.

model_source   a study's model, as it travels
saved_model    a model of a file
model_service  a model in memory, as a service
"""

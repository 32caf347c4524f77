"""The feature schema: what one example at a data owner means to a model."""

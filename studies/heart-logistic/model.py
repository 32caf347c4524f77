"""The model of the logistic heart study. Only the model owner runs this file."""

import keras


def build() -> keras.Model:
    """Return a logistic regression over the features of schema.toml."""
    model = keras.Sequential(
        [
            keras.layers.Input((21,)),
            keras.layers.Dense(1, activation="sigmoid", name="disease"),
        ],
        name="heart-logistic",
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="binary_crossentropy")
    return model

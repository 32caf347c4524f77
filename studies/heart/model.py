"""The model of the heart study. Only the model owner runs this file."""

import keras


def build() -> keras.Model:
    """Return one hidden layer of 16 over the features of schema.toml."""
    model = keras.Sequential(
        [
            keras.layers.Input((21,)),
            keras.layers.Dense(16, activation="tanh", name="hidden"),
            keras.layers.Dense(1, activation="sigmoid", name="disease"),
        ],
        name="heart",
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="binary_crossentropy")
    return model

"""The model of the wine study."""

import keras


def build() -> keras.Model:
    """Return one hidden layer over the features of schema.toml."""
    model = keras.Sequential(
        [
            keras.layers.Input((7,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="wine",
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy"
    )
    return model

"""The model of the parity study: is a handwritten digit odd?"""

import keras


def build() -> keras.Model:
    """Return one hidden layer over arrays of 8 x 8, and one output from logits."""
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(1),
        ],
        name="parity",
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.2),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model

"""The model of the private heart study. Only the model owner runs this file."""

import keras


def build() -> keras.Model:
    """Return a logistic regression over the features of schema.toml."""
    model = keras.Sequential(
        [
            keras.layers.Input((21,)),
            keras.layers.Dense(1, activation="sigmoid", name="disease"),
        ],
        name="heart-private",
    )
    # The optimizer is not used: a round is one step down the gradient, as long as
    # server_learning_rate in study.toml says.
    model.compile(optimizer="sgd", loss="binary_crossentropy")
    return model

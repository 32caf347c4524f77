"""A trained model as what two servers can compute, without TensorFlow.

    layers       a model's layers, from Keras' own JSON: which arrays each one has
    linear       layers and their arrays -> x W + b and a last activation
    scales       which fixed point keeps it exact enough, and below 2**62
    description  what the file of a service tells a client beside

    lower     model owner  layers, arrays        -> a linear model
    fit       model owner  model, schema's ends  -> the program that is proposed
    scores    client       opened logits         -> probabilities and labels

What cannot be computed this way is refused by its layer's name, before anything is
sent.
"""

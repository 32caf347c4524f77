"""The ClientApp for Keras studies, and trying a study before it is sent out.

    app         the ClientApp, on Flower's message API
    training    local training and evaluation of one study
    steps       the compiled steps of one model
    rehearsal   a federated training in one process
    compare     each site alone, all federated, all rows in one place
    comparison  what that found, and how it reads

It returns weights and metrics to the mod that shares them; it sends nothing.
"""

"""The ClientApp for Keras studies, and trying a study before it is sent out.

    app            the ClientApp, on Flower's message API
    learners       the learner that a task asks for
    training       local training and evaluation: local epochs
    row_gradients  the same, every row by itself: one step down their gradients
    steps          the compiled steps of one model on batches
    row_steps      the compiled steps of one model on single rows
    rehearsal      a federated training in one process
    one_place      a training of rows in one place
    compare        each site alone, all federated, all rows in one place
    comparison     what that found, and how it reads

It returns weights and metrics to the mod that shares them; it sends nothing.
"""

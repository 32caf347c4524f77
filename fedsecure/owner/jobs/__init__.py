"""What a model owner has rounds for: each job says what is asked in which round.

    train            what `fedsecure train` does, from its first look to the saved model
    run_start        how a run starts: anew, from an earlier round, or again
    training_rounds  the rounds of a training, and what was opened before, once more
    statistics       one round of counts, without any model
    evaluate         the round at its end, which has no step
    model_source     where a study's model comes from, whatever framework made it
    array_model      the one that needs none: named arrays
    rollback         a run that starts from an earlier round's model
    recorded_model   the trained model of a run, without its framework
    serve            no round: a linear model that answers clients' rows
    servable         a trained model as what can be served
    service_offer    what is offered where nothing is said

The run loop (`owner.run`) runs whatever a job asks for.
"""

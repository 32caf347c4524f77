"""What a study is: its settings, its feature schema, its model as data, its task.

    config      study.toml, in the folder that a model owner writes
    app_study   the same where another app trains than the Keras one
    task        what a data owner is asked to do, and the digest that names it
    terms       what it is asked to agree to
    row_terms   what a study keeps to so that noise hides single rows
    round_task  the task of one round, and the global model in it
    model_data  a model as it travels
    privacy     what a unit may leak, and the noise that follows from it
    forecast    what that noise will leave of updates and metrics
    metrics     what is measured and shared
    statistics  counts over the schema's columns, and what they say
    statistics_study  what data owners are asked to agree to for them
    remarks     what is strange about an opened round
    handover    the study file that data owners get before the first round
    sites       the data of sites, to try a study locally
    strict      what every text of a study is parsed into

Used by the model owner, who writes a study folder, and by every data owner's agent,
which receives the study as one text. Importing this package, or any module of it,
imports neither TensorFlow nor Flower.
"""

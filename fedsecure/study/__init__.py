"""What a study is: its settings, its feature schema, its model as data, its task.

Used by the model owner, who writes a study folder, and by every data owner's agent,
which receives the study as one text. Importing this package, or any module of it,
imports neither TensorFlow nor Flower.
"""

"""What answers rounds of statistics: counts of rows, without a model or TensorFlow.

counting  the rows of a data owner, in the cells of the task
app       the answer, on Flower's message API, whichever app trains here
"""

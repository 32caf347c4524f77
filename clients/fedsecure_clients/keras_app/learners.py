"""The learner that a task asks for, on one data owner's rows.

Runs at the data owner: `training` for the step "epochs", `row_gradients` for
"gradient". The second keeps rows apart, in its split as in its sums.
"""

from fedsecure.study.task import Task
from fedsecure_clients.data.dataset import Dataset, split, split_by_row
from fedsecure_clients.keras_app.row_gradients import RowLearner
from fedsecure_clients.keras_app.training import Learner


def learner_of(task: Task, dataset: Dataset) -> Learner:
    """Return the learner for all rows of one data owner.

    Raises:
        PeerError: FS-420 to FS-424, the model is refused; FS-432, it does not treat
            each row by itself, and the task needs that.
        OperatorError: FS-110, the rows cannot be split.
    """
    return learner_over(task, *halves(task, dataset))


def learner_over(task: Task, training: Dataset, held_out: Dataset) -> Learner:
    """Return the learner for rows that are split already.

    Raises:
        PeerError: As `learner_of`.
    """
    kind = RowLearner if task.step == "gradient" else Learner
    return kind(task, training, held_out)


def halves(task: Task, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Return the rows to train on and those held out, as a task splits them.

    Raises:
        OperatorError: FS-110, the rows cannot be split.
    """
    by = split_by_row if task.step == "gradient" else split
    return by(dataset, task.holdout, task.seed)

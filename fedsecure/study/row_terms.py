"""What a study has to keep to so that noise hides single rows, and not less.

The noise is made for rows that move an update by at most `unit_clip`. That holds for
the answer of one app, and for tasks that ask it for that. So where the terms protect
rows

    (1) the task is a Keras study's, of the step "gradient"
    (2) its rows are cut to the very `unit_clip` of the terms
    (3) the model treats each row by itself
    (4) the clip is not so long that float32 would round an update by more than the app
        leaves to it

and a task has a `unit_clip` in no other study, for there its answer means something
else. Run by the model owner before the first round, and by every agent.
"""

from typing import Final

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PeerError
from fedsecure.study.keras.single_rows import require_single_rows
from fedsecure.study.terms import StudyRequest, Terms

MOST_CLIP: Final = 2**13  # times unit_clip; `keras_app.row_gradients` says why


def protects_rows(terms: Terms) -> bool:
    """Tell whether the noise of a study is to hide single rows."""
    return terms.privacy is not None and terms.privacy.unit is Unit.ROW


def require_rows(study: StudyRequest) -> None:
    """Check a study whose terms protect single rows; nothing if they do not.

    Raises:
        PeerError: FS-432 where rows are not kept apart, or not cut as the noise needs;
            FS-200 for too long a clip; FS-420 or FS-421 the model.
    """
    privacy, task = study.terms.privacy, study.task
    cut = None if task is None else task.unit_clip
    if privacy is None or privacy.unit is not Unit.ROW:
        if cut is not None:
            raise PeerError(
                "FS-432", f"the task cuts rows to {cut:g}, and the terms protect none"
            )
        return
    if task is None or task.step != "gradient":  # (1)
        raise PeerError("FS-432", "the task is not the step of a Keras model")
    if cut != privacy.unit_clip:  # (2)
        raise PeerError(
            "FS-432",
            f"the task cuts rows to {cut}, the noise is made for {privacy.unit_clip}",
        )
    require_single_rows(task.model)  # (3)
    if not study.terms.clip <= MOST_CLIP * privacy.unit_clip:  # (4)
        raise PeerError(
            "FS-200",
            f"clip is {study.terms.clip:g}; use at most {MOST_CLIP:,} times unit_clip, "
            f"{MOST_CLIP * privacy.unit_clip:g}",
        )

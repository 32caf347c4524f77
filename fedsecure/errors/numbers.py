"""2xx, numbers: of a round before it starts, of an update, of a training."""

from typing import Final

from fedsecure.errors.problem import ALONE, Family, Problem

FAMILIES: Final = (
    Family(
        209,
        "A round's numbers",
        "A sum could wrap, or would be too coarse. The model owner meets it before "
        "anything is sent; aggregators and agents refuse a spec with such numbers.",
        answered=True,
    ),
    Family(219, "An update's numbers", f"What was trained cannot be shared. {ALONE}"),
    Family(
        229,
        "A program's numbers",
        "What two servers are asked to compute is not well formed, or does not fit "
        "into words. Its proposer meets it before anything is sent; aggregators and "
        "whoever is asked for numbers refuse it.",
    ),
    Family(
        299,
        "What a training leaves",
        "It cannot be used, or nothing was trained. Of FS-230 and FS-231 only this "
        "data owner hears; the others are the model owner's.",
    ),
)

PROBLEMS: Final = (
    Problem(
        "FS-200",
        "A number of the round is out of range",
        "Correct that number in the study and propose the round again.",
    ),
    Problem(
        "FS-201",
        "Too many data owners for one sum",
        "Ask fewer data owners in one round; the largest number is named.",
    ),
    Problem(
        "FS-202",
        "The clip cannot be represented",
        "Set `clip` in the study to a value within the range that is named.",
    ),
    Problem(
        "FS-203",
        "The round's fixed point is not the one that its numbers give",
        "The model owner runs another version or is broken; compare `fedsecure "
        "--version` on both sides.",
    ),
    Problem(
        "FS-204",
        "Weighted sums could wrap",
        "Lower the weight cap, or ask fewer data owners, as named.",
    ),
    Problem(
        "FS-205",
        "A scalar is declared wrongly",
        "Correct its name, range or size in the study.",
    ),
    Problem(
        "FS-206",
        "The round's suite is not known",
        "Bring both sides to the same version; see `fedsecure --version`.",
    ),
    Problem(
        "FS-207",
        "Rounding would cost too much beside the noise",
        "Raise `unit_clip` in the study, or lower the noise, with a smaller model or "
        "fewer rounds: what one unit may add must be well above the fixed point's "
        "steps.",
    ),
    Problem(
        "FS-208",
        "Noise needs equal weights",
        'Set `weighting = "equal"` in the study: other weights tell about rows.',
    ),
    Problem(
        "FS-210",
        "The update is not finite",
        "Training diverged here: lower the learning rate or check the data. "
        "Nothing was sent.",
    ),
    Problem(
        "FS-211",
        "The update has the wrong shape or type",
        "The app must return the weights of the model it got, as float32. "
        "Nothing was sent.",
    ),
    Problem(
        "FS-212",
        "The metrics are not those that the round declares",
        "Make the app return exactly the study's metrics. Nothing was sent.",
    ),
    Problem(
        "FS-213",
        "The statistics of the round make no sense",
        "Set `statistics_clip` in the study to a number within the range that is "
        "named. Else the model owner runs another version or is broken; compare "
        "`fedsecure --version` on both sides.",
    ),
    Problem(
        "FS-220",
        "Numbers of a program could be too large",
        "Lower the bounds or the fraction bits of what is named, or split the sum.",
        answered=True,
    ),
    Problem(
        "FS-221",
        "A layer cannot be computed on shares",
        "Linear and logistic models can be served: Dense layers without activations "
        "but the last one, and scaling; studies/heart-logistic is one. Train such a "
        "model. Nothing was sent.",
    ),
    Problem(
        "FS-222",
        "An activation cannot be computed on shares",
        "Only the last layer may have one, sigmoid or softmax: whoever gets the answer "
        "applies it. Train a linear or logistic model. Nothing was sent.",
    ),
    Problem(
        "FS-223",
        "A program is not well formed",
        "Correct what is named, and propose it again.",
        answered=True,
    ),
    Problem(
        "FS-224",
        "A number is outside its bound",
        "Correct the number, or have the bound raised where the program or the "
        "service is made. Nothing was sent.",
    ),
    Problem(
        "FS-230",
        "Training did not stay finite",
        "Nothing was sent. Ask the model owner for a lower learning rate, or for "
        "`clipnorm` in the optimizer.",
        not_finite=True,
    ),
    Problem(
        "FS-231",
        "The global model is not finite",
        "Nothing was trained. Ask the model owner to go back to an earlier round.",
        not_finite=True,
    ),
    Problem(
        "FS-232",
        "Training diverged",
        "No model was saved as this run's result. Start a new run from the last "
        "sound round with `fedsecure train --from-round RUN:N`, after you have "
        "lowered the learning rate in model.py, or that of the strategy (`eta`, "
        "`server_learning_rate`) in study.toml. `stop_when_diverged = false` in "
        "owner.toml lets a run go on.",
    ),
    Problem(
        "FS-233",
        "A run that diverged does not go on",
        "Start a new run from its last sound round with `fedsecure train "
        "--from-round RUN:N`; or set `stop_when_diverged = false` in owner.toml.",
    ),
    Problem(
        "FS-234",
        "There is nothing to train",
        "Every weight of the model is frozen. Set `trainable` to True for some "
        "layer in model.py, or leave it alone.",
    ),
    Problem(
        "FS-235",
        "No round moved the model",
        "What came out is the model that the run began with. Look for a learning "
        "rate of 0 in model.py (a schedule may start there), and for layers that "
        "are frozen.",
    ),
    Problem(
        "FS-236",
        "The model is not the same when it is built from its data",
        "Data owners build the model from Keras' serialised form, which lacks what "
        "is named. Say it in model.py in another way (loss weights: scale the "
        "learning rate), or do without it.",
    ),
)

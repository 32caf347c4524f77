"""Everything that can go wrong, in one table: stable code, title, remedy.

An error names who is to blame, for that decides what the program does next:

    PeerError        what another party sent is wrong: refuse it, keep running
    RoundStateError  the right request at the wrong time: refuse it, keep running
    OperatorError    this party's own files or settings are wrong: stop and say so

The message of an error says what happened and where (party, file, row, column);
title and remedy come from the table and say what to type next. Codes are grouped:
1xx data, 2xx numbers, 3xx rounds, 4xx policy, 5xx servers and network, 6xx audit,
7xx statements and identities, 8xx configuration.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table.

    `status` is the HTTP status with which an aggregator answers it.
    """

    code: str
    title: str
    remedy: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST


PROBLEMS: Final[dict[str, Problem]] = {
    row.code: row
    for row in (
        # 1xx data
        Problem(
            "FS-100",
            "The data file cannot be read",
            "Check the path and the permissions of the file that `data` in agent.toml "
            "names.",
        ),
        Problem(
            "FS-101",
            "The data file is not a table",
            "Export it again as CSV (UTF-8, separated by commas, one header row) or as "
            "Parquet.",
        ),
        Problem(
            "FS-102",
            "A column of the study is missing",
            "Add the columns that are named to the file; spelling and case count.",
        ),
        Problem(
            "FS-103",
            "A cell does not hold a number",
            "Mend the row that is named; numbers have a decimal point and no unit.",
        ),
        Problem(
            "FS-104",
            "A number is out of range",
            "Mend the row that is named, or ask the model owner to widen the range in "
            "schema.toml.",
        ),
        Problem(
            "FS-105",
            "A value is not one the study knows",
            "Mend the row that is named; the values and spellings stand in "
            "schema.toml.",
        ),
        Problem(
            "FS-106",
            "A value is missing where the study needs one",
            "Fill the row that is named, or ask the model owner to allow a missing "
            "code for this column.",
        ),
        Problem(
            "FS-107",
            "A row has no label of the study",
            "Mend the label of the row that is named, or leave the row out.",
        ),
        Problem(
            "FS-108",
            "The data file is empty",
            "Export it again with a header row and at least two rows.",
        ),
        Problem(
            "FS-109",
            "The data file's format is not supported",
            "Export the table as .csv or .parquet.",
        ),
        Problem(
            "FS-110",
            "Too few rows to train on",
            "A study needs at least two rows that differ: one to train on, one held "
            "out.",
        ),
        Problem(
            "FS-111",
            "A model's weights cannot be read",
            "Name a file that `fedsecure train` wrote: models/RUN/model-NNNNN.npy in "
            "the model owner's folder.",
        ),
        Problem(
            "FS-112",
            "The weights are of another model",
            "Name the study whose model these weights are of, with the model.py that "
            "it was trained with.",
        ),
        Problem(
            "FS-113",
            "Too few sites to compare",
            "Name the data files of at least two sites.",
        ),
        Problem(
            "FS-114",
            "Two sites have the same name",
            "Rename one of the files: a site is called as its file is.",
        ),
        Problem(
            "FS-115",
            "The comparison cannot be written",
            "Check that the folder exists, its permissions and the disk's free space.",
        ),
        Problem(
            "FS-116",
            "The demo's model was not compared",
            "Read the error above; the training itself is complete. `fedsecure agent "
            "compare --help` shows the command.",
        ),
        Problem(
            "FS-120",
            "An array of the study is missing",
            "Save the arrays that are named into the .npz file; spelling and case "
            "count.",
        ),
        Problem(
            "FS-121",
            "An array has another shape or type",
            "Convert the array that is named to the dtype and shape that the study "
            "needs, and save the file again.",
        ),
        Problem(
            "FS-122",
            "A value in an array is out of range",
            "Mend the entry that is named (indices count from 0), or ask the model "
            "owner to widen the range in schema.toml.",
        ),
        Problem(
            "FS-123",
            "A label in an array is none of the study's",
            "Mend the entry that is named (indices count from 0); numbers and names "
            "of the classes stand in schema.toml.",
        ),
        Problem(
            "FS-124",
            "The arrays differ in their numbers of rows",
            "Save features and labels of the same rows, in the same order.",
        ),
        Problem(
            "FS-125",
            "The data file is not NPZ",
            "Save it again with numpy.savez_compressed; arrays of Python objects are "
            "not read.",
        ),
        Problem(
            "FS-126",
            "The data are not of the study's kind",
            "Let `data` in agent.toml name what the study reads: docs/your-own- "
            "study.md shows the kinds.",
        ),
        Problem(
            "FS-127",
            "There is no example in the data",
            "Save at least two rows, or put at least two images into the folders of "
            "their classes.",
        ),
        Problem(
            "FS-130",
            "A folder is not a class of the study",
            "Rename or move the folder that is named; the classes stand in "
            "schema.toml, spelling and case count.",
        ),
        Problem(
            "FS-131",
            "An image cannot be read",
            "Save the file that is named again as PNG or JPEG, or leave it out.",
        ),
        Problem(
            "FS-132",
            "An image is of a kind that no study takes",
            "Save the file that is named with 8 bits a channel, as grayscale or RGB, "
            "opaque and with one frame.",
        ),
        Problem(
            "FS-133",
            "An image has another size",
            "Bring the file that is named to the study's size, or ask the model owner "
            "to allow resizing in schema.toml.",
        ),
        Problem(
            "FS-134",
            "An image is far too large",
            "Shrink the file that is named, or leave it out; nothing of it was "
            "unpacked.",
        ),
        Problem(
            "FS-135",
            "A file does not belong into a folder of images",
            "Move the file that is named away; a study reads DATA/CLASS/*.png, *.jpg "
            "and *.jpeg.",
        ),
        Problem(
            "FS-140",
            "The data do not fit into an agent's memory",
            "Choose fewer examples, or ask the model owner for smaller ones.",
        ),
        # 2xx numbers
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
            "FS-230",
            "Training did not stay finite",
            "Nothing was sent. Ask the model owner for a lower learning rate, or for "
            "`clipnorm` in the optimizer.",
        ),
        Problem(
            "FS-231",
            "The global model is not finite",
            "Nothing was trained. Ask the model owner to go back to an earlier round.",
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
        # 3xx rounds
        Problem(
            "FS-300",
            "Unknown round",
            "Send the round's spec to this aggregator first.",
            HTTPStatus.NOT_FOUND,
        ),
        Problem(
            "FS-301",
            "The address names another round than the message",
            "Use the digest of the round's spec, in hex, as the round's id.",
        ),
        Problem(
            "FS-302",
            "Another spec was granted for this round",
            "Send the same spec again, or void it at both aggregators and propose a "
            "new attempt.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-303",
            "Another attempt at this round stands in the way",
            "Void the other attempt at both aggregators, then propose a higher one.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-304",
            "This round was opened already",
            "A round is opened once: ask for the same set again, or go on with the "
            "next round.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-305",
            "This round is void",
            "Propose a new attempt; nothing of a void round is kept.",
            HTTPStatus.GONE,
        ),
        Problem(
            "FS-306",
            "The round's deadline has passed",
            "Wait for the next round; compare the clocks if this comes too early.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-307",
            "Nothing was reported in this round yet",
            "Wait for receipts, then open the round.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-308",
            "The round's grant has expired",
            "Go on with the next round; its key and reports were deleted.",
            HTTPStatus.GONE,
        ),
        Problem(
            "FS-310",
            "A report does not belong to this round",
            "Send it to the round, the aggregator and the address that its header "
            "names; if this comes again, compare `fedsecure --version` on both sides.",
        ),
        Problem(
            "FS-311",
            "This data owner is not in the round's cohort",
            "Nothing to do: only the cohort of the spec may report.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-312",
            "Another report of this data owner is stored",
            "Send the stored bytes again; a data owner reports once per round.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-313",
            "A report's bytes are not those of its header",
            "The upload was cut or changed on its way: send the same bytes again.",
        ),
        Problem(
            "FS-314",
            "A report does not open",
            "It was sealed for another key, round or aggregator, or changed; nothing "
            "was counted. If it happens in the next round too, compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-315",
            "A message is longer than it can be",
            "Compare the model's size with the round's spec.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        Problem(
            "FS-316",
            "A message does not say how long it is",
            "Send Content-Length; a proxy in between may have removed it.",
            HTTPStatus.LENGTH_REQUIRED,
        ),
        Problem(
            "FS-317",
            "A message has a content encoding",
            "Send it without Content-Encoding; a proxy in between may have added it.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
        Problem(
            "FS-318",
            "Too many uploads of one data owner at once",
            "Wait until the earlier upload ends, then send the same bytes again.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-319",
            "An upload stood still for too long",
            "Check the line, then send the same bytes again.",
            HTTPStatus.REQUEST_TIMEOUT,
        ),
        Problem(
            "FS-320",
            "Too few reports to open",
            "Wait for more receipts, or void the round; this aggregator's minimum "
            "stands in its aggregator.toml.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-321",
            "A member of the set may not be in it",
            "Ask only for members of the spec's cohort that are on the roster.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-322",
            "A member of the set has no such report here",
            "Leave out data owners of whom this aggregator gave no receipt.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-323",
            "A receipt is missing or does not fit",
            "Send one receipt of each aggregator for every member, in the set's order.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-324",
            "The set would tell a few data owners apart",
            "Together with sets that were opened before, its sum would tell about a "
            "few data owners alone: take the same set again, or start from other first "
            "weights: `fedsecure train --weights-seed N`, which needs no new approval.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-326",
            "Too many requests in a short time",
            "Wait as long as `Retry-After` says; the aggregator sets "
            "requests_per_minute in aggregator.toml, section [policy].",
            HTTPStatus.TOO_MANY_REQUESTS,
        ),
        Problem(
            "FS-328",
            "A stored report was lost",
            "Nothing was opened: leave out the data owners that are named, as "
            "`fedsecure train` does by itself, or void the round. The aggregator's log "
            "and ledger say what was wrong with the file.",
            HTTPStatus.GONE,
        ),
        Problem(
            "FS-329",
            "The aggregate share was lost",
            "The round was opened and its sum cannot be had any more: its number is "
            "burnt, go on with the next round. The aggregator's log names the file.",
            HTTPStatus.GONE,
        ),
        Problem(
            "FS-330",
            "The round is not decided yet",
            "Ask again once the round is opened or void.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-331",
            "No report of this data owner",
            "It did not report to this aggregator in this round.",
            HTTPStatus.NOT_FOUND,
        ),
        Problem(
            "FS-332",
            "A ticket is needed",
            "Send `Authorization: Bearer` with a signed read ticket.",
            HTTPStatus.UNAUTHORIZED,
        ),
        Problem(
            "FS-333",
            "The ticket is for something else",
            "Sign a ticket for this aggregator, method and path that has not expired; "
            "compare the clocks.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-334",
            "The run is older than a restore of this aggregator's store",
            "Start a new run: what was opened before the restore is not known here.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-340",
            "The task is not the one that the spec names",
            "Do not take part: ask the model owner why this party got "
            "another task than the signed one.",
        ),
        Problem(
            "FS-341",
            "The round does not ask this data owner",
            "Nothing to do: the round asks others.",
        ),
        Problem(
            "FS-342",
            "Somebody who is no data owner is in the cohort",
            "Do not take part: ask the model owner about the party that is named.",
        ),
        Problem(
            "FS-343",
            "The cohort is smaller than min_cohort",
            "Model owner: wait for more data owners, or lower min_cohort "
            "in study.toml.",
        ),
        Problem(
            "FS-344",
            "A round needs the grants of both aggregators",
            "Do not take part: compare federation.toml with both aggregators.",
        ),
        Problem(
            "FS-345",
            "A grant does not fit the round",
            "Do not take part: the model owner must propose the round "
            "anew; if it happens again, ask both aggregators.",
        ),
        Problem(
            "FS-346",
            "There is nothing to weigh",
            "Check the data file that agent.toml names: no row is left for training.",
        ),
        Problem(
            "FS-347",
            "The round came after its deadline",
            "Compare this machine's clock with the model owner's; nothing was sent.",
        ),
        Problem(
            "FS-348",
            "This round was answered already",
            "Nothing to do: a data owner never shards twice for one round.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-349",
            "A receipt is for another report",
            "Ask the aggregator that is named; the report counts as not received.",
        ),
        Problem(
            "FS-350",
            "The aggregators do not agree on what became of a report",
            "Keep the agent's state folder as evidence, and ask both aggregators and "
            "the model owner what was opened.",
        ),
        Problem(
            "FS-351",
            "A grant is for another round",
            "Ask the aggregator that is named; nothing was sent to data owners.",
        ),
        Problem(
            "FS-352",
            "Receipts do not match",
            "Ask the data owner that is named to update its agent; it is "
            "left out of the round.",
        ),
        Problem(
            "FS-353",
            "Fewer reports than the round's min_cohort",
            "Wait until more data owners are online; fewer than "
            "min_cohort are never opened.",
        ),
        Problem(
            "FS-354",
            "The aggregate shares do not belong together",
            "Ask the aggregator that is named; the round cannot be used.",
        ),
        Problem(
            "FS-355",
            "The key of a round is gone",
            "Keep the folder `rounds` beside the round store. The round cannot be "
            "opened any more; `fedsecure train --resume` goes on without it.",
        ),
        Problem(
            "FS-356",
            "The study is not what it was when the run began",
            "Put the study folder back as it was, with the versions of Flower and "
            "TensorFlow of that time; or start a new run without --resume.",
        ),
        Problem(
            "FS-357",
            "This run cannot be resumed",
            "`fedsecure rounds list --runs` shows which can; leave --resume out to "
            "start a new run.",
        ),
        Problem(
            "FS-361",
            "Weights are not float32",
            "Build the model with dtype float32 (Keras: "
            "keras.config.set_floatx('float32')).",
        ),
        Problem(
            "FS-362",
            "The layers do not fit the model",
            "The sender runs another version or is broken; compare "
            "`fedsecure --version` on both sides.",
        ),
        Problem(
            "FS-363",
            "Not a task of fedsecure",
            "Start the run with `fedsecure train`; other Flower runs are not answered.",
        ),
        Problem(
            "FS-364",
            "A data owner did not report",
            "Ask the data owner that is named for the reason, which stays there: "
            "`fedsecure agent status` tells it. A study that is new to it waits in "
            "`fedsecure agent review`.",
        ),
        Problem(
            "FS-365",
            "The ClientApp failed",
            "Read this agent's log above this line.",
        ),
        Problem(
            "FS-366",
            "The ClientApp's metrics are incomplete",
            "Return one MetricRecord with num-examples and every metric "
            "that the study declares.",
        ),
        Problem(
            "FS-367",
            "The ClientApp's arrays do not fit the task",
            "Return one ArrayRecord with the same names and shapes as the "
            "one received.",
        ),
        Problem(
            "FS-368",
            "A strategy must be linear in the updates",
            "Use FedAvg, FedAvgM, FedAdam, FedAdagrad, FedYogi or "
            "FedProx, or declare your own with linear=True; strategies "
            "that look at single updates cannot work on sums.",
        ),
        Problem(
            "FS-369",
            "A round failed in every attempt",
            "Do what is said of each data owner, then go on: `fedsecure train --resume "
            "RUN`, as was printed. `attempts`, `pause_seconds` and "
            "`longest_pause_seconds` in owner.toml say how long a run waits by itself.",
        ),
        Problem(
            "FS-370",
            "Too few data owners are online",
            "Let those who are named start their agents (`fedsecure agent --config "
            "agent.toml`), then go on: `fedsecure train --resume RUN`, as was printed.",
        ),
        Problem(
            "FS-371",
            "The strategy returned no model",
            "Use a strategy that returns arrays from aggregate_train.",
        ),
        Problem(
            "FS-372",
            "The strategy waits for more data owners than there are",
            "Lower min_train_nodes and min_available_nodes in the strategy's options "
            "to min_cohort or less.",
        ),
        Problem(
            "FS-380",
            "The ClientApp raised an error",
            "See the place that is named; run the agent with --debug to "
            "see more on this machine.",
        ),
        Problem(
            "FS-382",
            "The agent met an error that it does not know",
            "It goes on by itself. If it comes again, report the line of its log.",
        ),
        Problem(
            "FS-383",
            "The agent's state folder cannot be used",
            "`state` in agent.toml must be a folder that this user may write to, on a "
            "disk that has room and is not mounted read-only. An agent that runs goes "
            "on by itself; one that ended is started again. Nothing is sent twice.",
        ),
        Problem(
            "FS-384",
            "A training did not end before the round's deadline",
            "The agent has started anew and goes on. Look at the app and the load of "
            "this machine, or ask the model owner for a longer `round_seconds`.",
        ),
        # 4xx policy
        Problem(
            "FS-415",
            "It is outside the hours of this policy",
            "Wait for the hours in agent.toml, section [policy], or change them. Model "
            "owner: start the training within the hours of all data owners.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-416",
            "The study reads what this data owner does not offer",
            "Data owner: add the columns that are named to columns in agent.toml, "
            "section [policy], if you agree.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-417",
            "The model is larger than this policy allows",
            "Data owner: raise max_dimension or max_layers in agent.toml, section "
            "[policy], if this machine can train it.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-418",
            "The study waits for a person's approval here",
            "Data owner: read `fedsecure agent review`, then type `fedsecure agent "
            "approve STUDY` or `fedsecure agent refuse STUDY`; it holds from the next "
            "round on. Model owner: hand over what `fedsecure study export` writes "
            "before the training starts.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-419",
            "A person refused the study here",
            "Data owner: `fedsecure agent review STUDY` shows it; `fedsecure agent "
            "approve STUDY` takes the refusal back.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-426",
            "The study was answered under other terms before",
            "Data owner: compare both with `fedsecure agent review STUDY`; if the "
            "model owner has a good reason, `fedsecure agent approve STUDY`. Terms "
            "that change from round to round are how single values are read.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-427",
            "The spec's metrics are not those that the task declares",
            "The model owner runs another version or is dishonest: ask before you "
            "take part.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-428",
            "No study of that name is known here",
            "`fedsecure agent review` lists the studies; name one by eight or more "
            "digits of its digest, or by the file that the model owner handed over.",
        ),
        Problem(
            "FS-429",
            "The study file cannot be read or written",
            "Check its path. If it is no study file, ask the model owner for a new "
            "one; `fedsecure study export` writes it.",
        ),
        Problem(
            "FS-433",
            "The model fails on values that the schema allows",
            "Let the model take every value within the ranges of schema.toml (an "
            "Embedding needs an entry for each, from 0 on), or narrow `range` or set "
            "`scale` for the column.",
        ),
        Problem(
            "FS-434",
            "The model cannot travel to data owners",
            "Change in model.py what is named, such as a learning rate beyond all use "
            "or a constant of millions of values.",
        ),
        Problem(
            "FS-420",
            "The model is not made of allowed parts alone",
            "Use Keras' own layers, losses and optimizers as docs/your-own-study.md "
            "lists them; for other code, data owners install a package.",
        ),
        Problem(
            "FS-421",
            "The task is not well-formed",
            "The model owner runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-422",
            "The model's weights are not float32",
            "Build the model with the policy float32 and without layers that count, "
            "such as an adapted Normalization.",
        ),
        Problem(
            "FS-423",
            "The task asks for something this app does not do",
            "Use a strategy that sets no other values than server-round and "
            "proximal-mu.",
        ),
        Problem(
            "FS-424",
            "The model does not fit the task",
            "Compare the model's input and output with the columns and classes of "
            "schema.toml.",
        ),
        Problem(
            "FS-425",
            "The loss does not fit the model's outputs",
            "Compile with sparse_categorical_crossentropy for one output a class, and "
            "with another loss, such as binary_crossentropy, for one output.",
        ),
        Problem(
            "FS-400",
            "The cohort is smaller than this aggregator allows",
            "Ask more data owners, or agree with the aggregator on a lower min_cohort.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-401",
            "The model is larger than this aggregator allows",
            "Agree with the aggregator on a higher max_dimension.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-402",
            "Too many rounds are open at this aggregator",
            "Open or void the earlier rounds first.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-403",
            "The round's deadline is not acceptable",
            "Choose one in the future and within max_round_seconds; compare the "
            "clocks.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-404",
            "The cohort names somebody who is not a data owner",
            "Take the cohort from the roster in federation.toml.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-405",
            "The round's reports would be larger than this aggregator takes",
            "Agree with the aggregator on a higher max_body.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-406",
            "Too many rounds in an hour for this aggregator",
            "Wait, or agree with the aggregator on a higher max_rounds_per_hour.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-410",
            "Sums would be of fewer data owners than this policy allows",
            "Model owner: raise min_cohort in study.toml. Data owner: lower min_cohort "
            "in agent.toml, section [policy], if you agree.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-411",
            "More rounds than this policy allows",
            "Data owner: raise max_rounds in agent.toml, section [policy], if you "
            "agree to more; it counts the rounds of one study, over all runs.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-412",
            "The clip is larger than this policy allows",
            "Model owner: lower clip in study.toml. Data owner: raise max_clip in "
            "agent.toml, section [policy], if you agree.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-413",
            "This policy does not allow the weighting",
            "Model owner: set weighting to 'equal' in study.toml. Data owner: add the "
            "weighting to weightings in agent.toml, section [policy], if you agree; "
            "docs/sharp-edges.md says what each gives away.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-414",
            "This policy does not allow the purpose",
            "Data owner: add it to purposes in agent.toml, section [policy], if you "
            "agree.",
            HTTPStatus.FORBIDDEN,
        ),
        # 5xx servers and network
        Problem(
            "FS-500",
            "This version of Flower is not supported",
            "Type `pip install 'flwr==1.41.*'` in this environment.",
        ),
        Problem(
            "FS-501",
            "The SuperLink is out of reach",
            "It listens while the model owner runs `fedsecure train`; if it should, "
            "check the address and the network. The agent keeps trying.",
        ),
        Problem(
            "FS-502",
            "A TLS certificate is not trusted",
            "Check that the root certificate in the configuration is the one that "
            "signed the SuperLink's, and that its names hold the address.",
        ),
        Problem(
            "FS-503",
            "The SuperLink does not admit this agent",
            "If it was killed it is admitted within half a minute; else check that "
            "its Flower key stands in the model owner's federation.toml, that no "
            "second agent uses it, and both clocks.",
        ),
        Problem(
            "FS-504",
            "Not a Flower node key",
            "Name the P-384 key (OpenSSH, no passphrase) of this data owner; "
            "`ssh-keygen -t ecdsa -b 384 -N '' -C '' -f flower.key` makes one.",
        ),
        Problem(
            "FS-505",
            "The SuperLink refused a request",
            "The reason is in the model owner's superlink.log.",
        ),
        Problem(
            "FS-506",
            "The run is over",
            "Nothing to do: the agent waits for the next one.",
        ),
        Problem(
            "FS-507",
            "A message cannot be read",
            "The other side runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-508",
            "A reply could not be delivered",
            "The round goes on without it; if it happens again, look into the model "
            "owner's superlink.log.",
        ),
        Problem(
            "FS-509",
            "The SuperLink runs another version of Flower",
            "Agree with the model owner on one version of fedsecure and install it "
            "on both sides.",
        ),
        Problem(
            "FS-510",
            "The SuperLink's port is taken",
            "Another program, or another `fedsecure train`, listens there: stop it "
            "or choose another port in owner.toml.",
        ),
        Problem(
            "FS-511",
            "The SuperLink did not start",
            "Its last lines are shown; most often a certificate and its key do not "
            "match.",
        ),
        Problem(
            "FS-512",
            "The SuperLink stopped by itself",
            "Its last lines are shown. To go on with the run: `fedsecure train "
            "--resume RUN`.",
        ),
        Problem(
            "FS-513",
            "The SuperLink does not let this process run",
            "It ended the run while this machine slept or was overloaded. Go on with "
            "it: `fedsecure train --resume RUN`, as was printed.",
        ),
        Problem(
            "FS-514",
            "Not an address",
            "Write host:port, such as train.example.org:8000 or [::1]:8000.",
        ),
        Problem(
            "FS-520",
            "The address cannot be listened on",
            "Another program may hold the port: choose another in `listen`, or stop "
            "that program.",
        ),
        Problem(
            "FS-521",
            "The data folder cannot be used",
            "Check `data` in aggregator.toml: this user must be able to write there.",
        ),
        Problem(
            "FS-522",
            "Another aggregator uses this data folder",
            "Stop the other process, or give each aggregator a folder of its own.",
        ),
        Problem(
            "FS-523",
            "The disk is full",
            "Make room on the disk of the data folder; senders try again by "
            "themselves.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-524",
            "A disk failed",
            "See the server's log and the system's, then restart the aggregator.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-525",
            "The database does not answer",
            "Check `database` in aggregator.toml and the database server.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-526",
            "The disk is read-only",
            "See the system's log: a failing disk is often mounted read-only. Senders "
            "try again by themselves.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-527",
            "The TLS certificate or its key cannot be used",
            "Check [tls] in aggregator.toml: PEM files, and a key that belongs to "
            "the certificate.",
        ),
        Problem(
            "FS-530",
            "Nothing at this address",
            "Compare the path with docs/protocol.md and both sides' versions.",
            HTTPStatus.NOT_FOUND,
        ),
        Problem(
            "FS-531",
            "This address does not take that method",
            "Compare the method with docs/protocol.md and both sides' versions.",
            HTTPStatus.METHOD_NOT_ALLOWED,
        ),
        Problem(
            "FS-532",
            "A request is not well formed",
            "Compare the request with docs/protocol.md and both sides' versions.",
        ),
        Problem(
            "FS-534",
            "What is done in the background is overdue",
            "Deletion of expired keys and reports is part of it: see the server's log "
            "for what fails each time, then restart the aggregator.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-535",
            "Too many requests on one connection at once",
            "Wait for answers before more is asked; the connection is closed.",
            HTTPStatus.TOO_MANY_REQUESTS,
        ),
        Problem(
            "FS-536",
            "No file descriptors are left",
            "Allow the server more of them (`ulimit -n`, LimitNOFILE of systemd, "
            "ulimits of Docker), or fewer connections ([connections] in "
            "aggregator.toml); senders try again by themselves.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-537",
            "Too many statements are on their way",
            "Send it again: others that came from the same address took the room.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-540",
            "The server failed",
            "Its operator finds the reason in its log; the request can be repeated.",
            HTTPStatus.INTERNAL_SERVER_ERROR,
        ),
        Problem(
            "FS-541",
            "A small file is damaged",
            "The line names the file, and what to type. A flipped bit is seldom alone: "
            "look at the disk and the system's log.",
        ),
        Problem(
            "FS-543",
            "A sealed report in the outbox is damaged or gone",
            "Nothing was counted, and this round goes on without this data owner. Look "
            "at the disk of the agent's state folder.",
        ),
        Problem(
            "FS-528",
            "A backup cannot be made or used",
            "Name a new file for `fedsecure aggregator backup`, and one that it wrote "
            "for `fedsecure aggregator restore`.",
        ),
        Problem(
            "FS-544",
            "The PostgreSQL server may lose what was committed",
            "Type in psql, as its superuser: ALTER SYSTEM SET fsync = on; ALTER SYSTEM "
            "SET full_page_writes = on; SELECT pg_reload_conf(); and start again.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-545",
            "The database is not as this process or data folder left it",
            "Commits were lost, or it was put back. Bring the newest database back; if "
            "there is none, stop the aggregator and type `fedsecure aggregator restore "
            "--as-it-is`. Nothing is written meanwhile.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-546",
            "The data folder does not know what was opened before",
            "Put the newest copy of its file `opened-sets` there and type `fedsecure "
            "aggregator restore --as-it-is`. Without one add `--forget-opened-sets`: "
            "sets that differ by a few data owners from those opened before are then "
            "not refused.",
        ),
        Problem(
            "FS-547",
            "Another process has this store",
            "Stop that process first. Of each aggregator one runs at a time, however "
            "many data folders there are.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-548",
            "This store is another party's, or another federation's",
            "Check `database` and `data` in aggregator.toml, and the file: a backup "
            "belongs to the aggregator that made it. Nothing was changed.",
        ),
        Problem(
            "FS-549",
            "The list of opened sets was changed or damaged",
            "Put back a copy of the file that is named; without one, move it away and "
            "type `fedsecure aggregator restore --as-it-is --forget-opened-sets`.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-551",
            "An aggregator cannot be reached",
            "Check that it runs and that outbound TCP to its address is open.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-552",
            "An aggregator refused with a code unknown here",
            "Update this party to the aggregator's version.",
        ),
        Problem(
            "FS-553",
            "An aggregator's answer makes no sense",
            "Check that the address in federation.toml is an "
            "aggregator's, with no proxy in between that changes answers.",
        ),
        Problem(
            "FS-554",
            "The CA file cannot be used",
            "Name a PEM file with the certificate authority of the servers.",
        ),
        Problem(
            "FS-555",
            "An aggregator speaks another version of the protocol",
            "Update the party with the lower number.",
        ),
        Problem(
            "FS-556",
            "Another server answers at an aggregator's address",
            "Compare names and fingerprints in federation.toml with the aggregator's "
            "operators; the two addresses may be exchanged.",
        ),
        Problem(
            "FS-557",
            "An aggregator cannot be trusted over TLS",
            "Compare the certificate at its address with what this party trusts "
            "(`authorities`, or the system's own list), its host name with "
            "federation.toml, and both clocks. It must offer TLS 1.3.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-580",
            "The console cannot listen there",
            "Choose another address or a free port with `--listen`, as in "
            "127.0.0.1:8800; port 0 is any free one.",
        ),
        Problem(
            "FS-581",
            "The console would be open to others",
            "Listen on 127.0.0.1 and come by an SSH tunnel, or give `--certificate` "
            "and `--key` and leave `--no-login` out.",
        ),
        Problem(
            "FS-582",
            "The link to the console is not valid",
            "Open the newest link that the command printed; each one works once.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-583",
            "The console was asked under a foreign name",
            "Open the address that the command printed; `--name` makes another name "
            "known to it.",
            HTTPStatus.MISDIRECTED_REQUEST,
        ),
        Problem(
            "FS-584",
            "A form does not come from this console",
            "Open the page in the console again, and send the form from there.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-585",
            "The console has no such page",
            "Begin at the console's first page.",
            HTTPStatus.NOT_FOUND,
        ),
        Problem(
            "FS-586",
            "A form or an address cannot be used as it is",
            "Mend what is named, and send it again.",
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
        Problem(
            "FS-587",
            "This console only reads",
            "Start it with what it lacks: `--config owner.toml` for verdicts, and "
            "`--federation` for audits.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-588",
            "An audit is under way",
            "Wait until it is done; the page says how far it is.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-589",
            "The console is not installed",
            "Install the model owner's parts, `pip install 'fedsecure[owner]'`; at an "
            "aggregator `fedsecure[aggregator]`.",
        ),
        Problem(
            "FS-590",
            "The console's certificate cannot be used",
            "Give PEM files with `--certificate` and `--key`, the chain and its key.",
        ),
        Problem(
            "FS-591",
            "Too many pages renew themselves",
            "Close some, or reload this one by hand.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        # 6xx audit
        Problem(
            "FS-601",
            "A ledger was changed afterwards",
            "The entries before the one that is named are sound; ask the store's "
            "owner for a backup and compare.",
        ),
        Problem(
            "FS-602",
            "A step does not fit the state of the round or run",
            "`fedsecure rounds show` tells how far it is; only one `fedsecure train` "
            "may work with a round store at a time.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-603",
            "A database was written by a newer version",
            "Use the fedsecure that wrote it, or a newer one. Nothing was changed.",
        ),
        Problem(
            "FS-604",
            "A database cannot be used",
            "If it is locked, close the program that has it open; else check the path, "
            "the disk's free space and permissions, or the database server. What was "
            "committed is kept: `fedsecure train --resume RUN` goes on with a run.",
        ),
        Problem(
            "FS-605",
            "A stored model is not the one that was recorded",
            "Restore the file that is named from a backup, or start a new run.",
        ),
        Problem(
            "FS-606",
            "A model's file cannot be read or written",
            "Check the path, the disk's free space and permissions.",
        ),
        Problem(
            "FS-607",
            "Not a database of this kind",
            "Name an SQLite file that fedsecure wrote, such as rounds.db, or a "
            "postgresql:// URL (its driver comes with `pip install "
            "'fedsecure[owner]'` or `fedsecure[aggregator]`).",
        ),
        Problem(
            "FS-608",
            "A database has an older form",
            "Make a backup, then type `fedsecure aggregator migrate` or, for a round "
            "store, `fedsecure store migrate`. Nothing was changed.",
        ),
        Problem(
            "FS-609",
            "Another `fedsecure train` works with this folder",
            "Wait until it is done, or stop it; one folder serves one training.",
        ),
        Problem(
            "FS-620",
            "The records of the federation do not agree",
            "Each finding names the party and the entry or row: ask that party, and "
            "compare with the others' stores and backups.",
        ),
        Problem(
            "FS-621",
            "An entry of a ledger does not follow from those before",
            "The entries before it are sound; ask the store's owner who wrote it.",
        ),
        Problem(
            "FS-622",
            "A table is not what its ledger says",
            "Somebody changed the database behind the program's back; the ledger says "
            "what was there.",
        ),
        Problem(
            "FS-623",
            "A stored report is not what its data owner signed",
            "Somebody changed the aggregator's database; the data owner's receipts say "
            "what was there.",
        ),
        Problem(
            "FS-624",
            "A database is not defined as this version defines it",
            "Views may show something else than the tables hold: read the tables, or "
            "restore the database from a backup.",
        ),
        Problem(
            "FS-625",
            "A round was granted by one party's records alone",
            "One of the two stores is older than the other, or was changed: compare "
            "backups.",
        ),
        Problem(
            "FS-626",
            "Parties do not have the same opening of a round",
            "Ask both aggregators and the model owner for their opening of this round.",
        ),
        Problem(
            "FS-627",
            "Another report was added than the receipt is for",
            "Ask the aggregator; the data owner's `fedsecure agent receipts verify` "
            "shows its side.",
        ),
        Problem(
            "FS-628",
            "The model owner has another aggregate share than was stored",
            "Ask the aggregator for the digest of the share that it stored.",
        ),
        Problem(
            "FS-629",
            "A ledger was rewritten after others had seen it",
            "The party that holds the other hash can prove it: compare its statement "
            "with the ledger, from the first entry that is named.",
        ),
        Problem(
            "FS-630",
            "A ledger is shorter than others have seen it",
            "Its store was set back to a backup, or entries were cut off: what is "
            "missing is named by what the others hold.",
        ),
        Problem(
            "FS-631",
            "A round is void for one party and opened for another",
            "Ask both for their entries of this round.",
        ),
        Problem(
            "FS-632",
            "A sum of too few was opened, or a round twice",
            "Tell the data owners of the set: the aggregator broke its own rule.",
        ),
        Problem(
            "FS-633",
            "A round did not start from the model before it",
            "Ask the model owner what was trained in between.",
        ),
        Problem(
            "FS-634",
            "Opened sums over one model tell a few data owners apart",
            "Tell the data owners of the pairs that are listed.",
        ),
        Problem(
            "FS-635",
            "Not an export of such a store",
            "Make it with `fedsecure audit export` (model owner) or `fedsecure "
            "aggregator export`, and copy the whole file.",
        ),
        Problem(
            "FS-636",
            "A store is not whose it was said to be",
            "Compare the options: --owner is the model owner's store, --aggregator one "
            "aggregator's each, and --federation versions of one federation.",
        ),
        Problem(
            "FS-637",
            "A statement stands in an entry where it does not belong",
            "The entries before it are sound; ask the store's owner who wrote it.",
        ),
        Problem(
            "FS-640",
            "Not every report was counted, or proof of it is wrong",
            "Each finding names the round and the aggregator: ask its operators, and "
            "show them the receipt.",
        ),
        Problem(
            "FS-641",
            "What the agent keeps is not what was signed",
            "Somebody changed the agent's state; take it from a backup.",
        ),
        Problem(
            "FS-642",
            "A report was left out of the sum that was opened",
            "Ask the model owner why; both aggregators had stored it.",
        ),
        Problem(
            "FS-643",
            "The aggregators do not say the same about a report",
            "Send both inclusions to both aggregators: one of them is wrong.",
        ),
        Problem(
            "FS-644",
            "An aggregator's ledger is not what it told this data owner",
            "The receipt or inclusion proves it: show it to the other parties.",
        ),
        Problem(
            "FS-645",
            "Only an opened round can be accepted or rejected",
            "`fedsecure rounds list` says how each round ended.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-646",
            "The model owner has not accepted this round",
            "Look at it with `fedsecure rounds show`, then type `fedsecure rounds "
            "accept`; or go on from it all the same with `--force`.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-647",
            "The store does not answer this query",
            "Type one SELECT, ended by a semicolon; `SELECT * FROM v_round` shows what "
            "there is. Nothing can be changed here.",
        ),
        Problem(
            "FS-648",
            "An export cannot be written",
            "Check that the folder exists, its permissions and the disk's free space.",
        ),
        Problem(
            "FS-649",
            "Not a form of file that is known",
            "Name a file that ends in .csv, .json or .html.",
        ),
        Problem(
            "FS-650",
            "Not a date",
            "Write it as 2026-03-02 or 2026-03-02T14:00, in UTC.",
        ),
        Problem(
            "FS-651",
            "A store was put back, and lost what others hold proof of",
            "Ask its operator why, and look at what was there before: `fedsecure "
            "aggregator restore` keeps a copy in the data folder. What is named was "
            "not compared.",
        ),
        Problem(
            "FS-652",
            "Another `fedsecure train` works with this round store",
            "Wait until it is done, or stop it; two trainings need two round stores.",
        ),
        Problem(
            "FS-653",
            "Another agent works with this state folder",
            "Stop it, or give each agent a `state` of its own in agent.toml.",
        ),
        Problem(
            "FS-654",
            "A version of the federation is missing here",
            "Something was signed under it. Each party that accepted it has it, by "
            "this digest, in the folder federation-versions beside its "
            "federation.toml: name that file with --federation, or put it into the "
            "same folder here.",
        ),
        Problem(
            "FS-655",
            "A ledger changes its version of the federation without saying so",
            "It goes on under another version after an entry `federation-changed` "
            "alone, and never goes back to an earlier one: the entries before it are "
            "sound; ask its owner who wrote the rest, with which key.",
        ),
        Problem(
            "FS-656",
            "The ledger went on under a newer version of the federation",
            "This program was started before `fedsecure join`, or with old files: "
            "start it again with the version that was accepted last.",
        ),
        Problem(
            "FS-657",
            "A round does not outlive its version of the federation",
            "It is void, and the run goes on with the next attempt. Finish a training "
            "before the federation changes, and nothing is lost.",
        ),
        Problem(
            "FS-658",
            "A database was copied without its newest part",
            "While it is used, SQLite keeps what is new in a file of the same name "
            "with -wal behind it: copy both, after the program was stopped; or type "
            "`fedsecure audit export` or `fedsecure aggregator export`, at any time.",
        ),
        # 7xx statements and identities
        Problem(
            "FS-701",
            "A message is not well formed",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-702",
            "A signed message has the wrong type",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-703",
            "This party may not say that",
            "Check the roles in federation.toml with the party that is named.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-704",
            "A signature is wrong",
            "The sender's key is not the one in federation.toml; compare "
            "fingerprints with the party that is named.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-705",
            "The other side has another federation.toml",
            "Compare the digests; copy the agreed file to the party whose file "
            "differs and restart it. A ledger is checked with the file under which it "
            "was written.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-706",
            "A message was signed by somebody else than its author",
            "Tell the party that is named: somebody speaks in its name.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-741",
            "Unknown party",
            "Check the name; if it is right, this party's federation.toml is old.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-743",
            "A private file cannot be created",
            "Move the old file away first if you mean to replace it; nothing was "
            "overwritten.",
        ),
        Problem(
            "FS-744",
            "A private file can be read by others",
            "Type `chmod 600` and the path, then consider whether the key must be "
            "replaced.",
        ),
        Problem(
            "FS-745",
            "Not a signing key",
            "Name the Ed25519 key (PEM, PKCS #8, unencrypted) of this party.",
        ),
        Problem(
            "FS-746",
            "The private key does not belong to this party",
            "Name the key whose public half stands in federation.toml, or hand in "
            "the new public key.",
        ),
        Problem(
            "FS-747",
            "An identity file is not as its party signed it",
            "Ask the party for its file again; if it arrives like this a second "
            "time, somebody changes it on the way.",
        ),
        Problem(
            "FS-748",
            "There is something already where new files would go",
            "Name another folder with --folder, or move the file that is named "
            "away; nothing was overwritten.",
        ),
        Problem(
            "FS-749",
            "The federation file is not signed by its model owner",
            "Ask the model owner for federation.toml and federation.jws again, and "
            "take both from the same version.",
        ),
        Problem(
            "FS-750",
            "The CA file is not the one that the model owner signed",
            "Take authorities.pem from the same version as federation.toml, and "
            "type `fedsecure join` with that federation.toml.",
        ),
        Problem(
            "FS-751",
            "This version does not follow the one that was accepted",
            "Ask the model owner for the newest version. If it is another "
            "federation, use a new folder with new keys.",
        ),
        Problem(
            "FS-752",
            "The federation is not the version that was accepted here",
            "If the model owner handed over a new version, type `fedsecure join` "
            "and its federation.toml; if not, somebody changed the file: ask who.",
        ),
        Problem(
            "FS-753",
            "No federation was accepted here yet",
            "Type `fedsecure join` and the federation.toml that the model owner "
            "handed over.",
        ),
        Problem(
            "FS-754",
            "A fingerprint is not the one that was read out",
            "Call the party that is named, at a number that you know, and let it "
            "read its words again. If they differ still, the file holds another "
            "key: do not join, and tell the others.",
        ),
        Problem(
            "FS-755",
            "Fingerprints are missing",
            "Type them when you are asked, or give one --fingerprint NAME=WORDS for "
            "each party that is named.",
        ),
        Problem(
            "FS-756",
            "These identities make no federation",
            "A federation has one model owner, two aggregators and data owners, "
            "each with a name and a key of its own; all servers hand over a CA "
            "certificate (`fedsecure keygen --tls-host` or `--authority`), or none "
            "does.",
        ),
        Problem(
            "FS-757",
            "No such party in the federation",
            "Check the name; a new data owner comes in with `fedsecure federation "
            "add`.",
        ),
        Problem(
            "FS-758",
            "The version was not accepted",
            "Nothing was changed here; the version accepted before stays in force.",
        ),
        Problem(
            "FS-759",
            "This party is somebody else in the federation",
            "Ask the model owner to take your newest identity file: `fedsecure "
            "federation rotate`.",
        ),
        Problem(
            "FS-760",
            "A kept version of the federation was changed",
            "Each file in federation-versions is named as the digest of its content. "
            "Take this one anew from any party that accepted it.",
        ),
        Problem(
            "FS-761",
            "A name stands for somebody else than before",
            "Openings and approvals know data owners by their names, so the name of "
            "one that was retired is not given to another: choose a new name.",
        ),
        Problem(
            "FS-762",
            "Others take part than when the study was approved here",
            "Data owner: `fedsecure agent review STUDY` shows who came in since; "
            "`fedsecure agent approve STUDY` approves it for them, too. It is asked "
            'because agent.toml, section [policy], says roster = "approved".',
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-720",
            "A sealed payload does not open",
            "It was changed on the way, or sealed for another round or receiver; the "
            "sender must send the stored bytes again.",
        ),
        Problem(
            "FS-721",
            "A sealed payload has the wrong length",
            "It was cut or extended on the way; the sender must send the stored "
            "bytes again.",
        ),
        Problem(
            "FS-722",
            "A sealing key is malformed",
            "The party whose key it is must make another one: void the round and "
            "propose it again.",
        ),
        Problem(
            "FS-723",
            "A share has the wrong size",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-724",
            "The aggregate shares do not hold the same number of reports",
            "One aggregator is wrong: ask both to compare what v_opening of their "
            "stores says about the round; it cannot be used.",
        ),
        Problem(
            "FS-725",
            "The opened sum is impossible",
            "One aggregator added wrongly, or a data owner sent a bad share; it cannot "
            "be told who. The round cannot be used: propose the next one.",
        ),
        Problem(
            "FS-726",
            "A report's identifiers are malformed",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        # 8xx configuration
        Problem(
            "FS-826",
            "These are not the words of a fingerprint",
            "Type the twelve words again as they were read out, in their order; ask "
            "for them again if one is not in the list.",
        ),
        Problem(
            "FS-827",
            "This party was retired from the federation",
            "Nothing more is asked of it: stop its program. If that is a mistake, the "
            "model owner takes it in again with `fedsecure federation add`.",
        ),
        Problem(
            "FS-828",
            "This is another party's store",
            "Name the store of the kind that is asked for: rounds.db of the model "
            "owner, aggregator.db of an aggregator, agent.db of a data owner. "
            "Nothing was changed.",
        ),
        Problem(
            "FS-829",
            "A unit could not start with these paths",
            "Move what is named out of home folders, such as to /opt (the program) and "
            "/etc (keys and settings), and type the command there again.",
        ),
        Problem(
            "FS-848",
            "The aggregator of this machine does not answer",
            "Type `fedsecure doctor --config aggregator.toml` and look at its log; "
            "start it if it does not run.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        Problem(
            "FS-840",
            "A study's file is wrong",
            "Mend the line that is named; docs/your-own-study.md lists every key.",
        ),
        Problem(
            "FS-841",
            "The study's model.py does not run",
            'Mend model.py; `python -c "import model; model.build()"` in the study\'s '
            "folder must run.",
        ),
        Problem(
            "FS-842",
            "The study's model is not a compiled Keras model",
            "Let build() call model.compile(optimizer=..., loss=...) and return the "
            "model.",
        ),
        Problem(
            "FS-843",
            "The study's model does not fit its schema",
            "Set the model's input to the width that is named, and its output to 1 "
            "(two classes) or to the number of classes.",
        ),
        Problem(
            "FS-844",
            "A site of a study cannot have that name",
            "Give every site's data in the study's folder data/ a name of its own, of "
            "a to z, 0 to 9 and hyphens.",
        ),
        Problem(
            "FS-845",
            "The model's outputs are not what its loss takes them for",
            "End the model with a sigmoid (one output) or a softmax (one output a "
            "class); or without, and compile with from_logits=True.",
        ),
        Problem(
            "FS-846",
            "A step of a bench failed",
            "Read what is said above, and the logs whose ends are shown; on a loaded "
            "machine try again, or measure less with --quick.",
        ),
        Problem(
            "FS-847",
            "A part that this bench measures is not installed here",
            "Type `pip install 'fedsecure[owner,aggregator,bench]'`.",
        ),
        Problem(
            "FS-801",
            "A file cannot be read",
            "Check the path and its permissions.",
        ),
        Problem(
            "FS-802",
            "A file is not TOML",
            "Mend the line that is named; https://toml.io shows the format.",
        ),
        Problem(
            "FS-803",
            "A setting is wrong",
            "Mend the key that is named; docs/ lists every key with its meaning.",
        ),
        Problem(
            "FS-810",
            "This party is not an aggregator",
            "Set `name` in aggregator.toml to one of the two aggregators of "
            "federation.toml.",
        ),
        Problem(
            "FS-811",
            "Not an address to listen on",
            'Write `listen = "host:port"`, such as "0.0.0.0:8443".',
        ),
        Problem(
            "FS-812",
            "There is no certificate authority of your own here",
            "It is made by `fedsecure keygen --tls-host`; certificates of another "
            "authority are renewed there. Name the hosts with --host.",
        ),
        Problem(
            "FS-813",
            "Not the configuration of a party",
            "Name owner.toml, aggregator.toml or agent.toml with --config.",
        ),
        Problem(
            "FS-814",
            "A party cannot be called or reached like this",
            "Names are lower-case letters, digits and hyphens; an aggregator has "
            "--url https://HOST:PORT, a model owner --superlink HOST:PORT.",
        ),
        Problem(
            "FS-816",
            "A file cannot be written",
            "Check that the folder is yours and that the disk has room.",
        ),
        Problem(
            "FS-817",
            "A service cannot run as this user",
            "Type `useradd --system --shell /usr/sbin/nologin fedsecure`, or name a "
            "user that is there with --user; not root.",
        ),
        Problem(
            "FS-818",
            "A path cannot stand in a systemd unit",
            "Move the files to a path without quotes, backslashes and control "
            "characters.",
        ),
        Problem(
            "FS-821",
            "An aggregator's fingerprint is not the one in agent.toml",
            "Ask the aggregator itself, by phone, not the model owner; "
            "correct [aggregators] in agent.toml only if it confirms.",
        ),
        Problem(
            "FS-822",
            "The ClientApp cannot be loaded",
            "Install its package, and name it in agent.toml as app = "
            "'package.module:app'.",
        ),
        Problem(
            "FS-823",
            "The study's strategy cannot be built",
            "Check strategy and options in study.toml, section [aggregation].",
        ),
        Problem(
            "FS-825",
            "Nobody says where the SuperLink is",
            'Write `superlink = "host:port"` into agent.toml, as the model owner says; '
            "it may also stand in federation.toml.",
        ),
        Problem(
            "FS-860",
            "No round store found",
            "Name it with `--db` (a file, or a postgresql:// URL), or go to the folder "
            "in which `fedsecure train` runs.",
        ),
        Problem(
            "FS-861",
            "No such run",
            "`fedsecure rounds list --runs` shows every run of the store.",
        ),
        Problem(
            "FS-862",
            "No such round",
            "`fedsecure rounds list` shows every round of the run.",
        ),
        Problem(
            "FS-863",
            "The round store holds no run yet",
            "`fedsecure train` starts one; the first round shows up within seconds.",
        ),
        Problem(
            "FS-864",
            "There is nothing to draw yet",
            "Wait until a round is opened; `fedsecure rounds list` says how each one "
            "ended.",
        ),
        Problem(
            "FS-865",
            "Not a kind of picture that is known",
            "Name a file that ends in .png (screens) or .svg (documents).",
        ),
        Problem(
            "FS-866",
            "The picture cannot be written",
            "Check that the folder exists, its permissions and the disk's free space.",
        ),
        Problem(
            "FS-867",
            "Pictures need a package that is not installed",
            "Type `pip install 'fedsecure[owner]'`.",
        ),
        Problem(
            "FS-868",
            "The curves of the demo were not drawn",
            "Read the error above; the training itself is complete. Type the command "
            "that is named once its cause is mended.",
        ),
        Problem(
            "FS-870",
            "The folder holds something else than a demo",
            "Name another folder with --folder, or move this one away; "
            "nothing was deleted.",
        ),
        Problem(
            "FS-871",
            "A process of the demo ended",
            "Read the lines of its log that are shown, and the whole log "
            "in its folder.",
        ),
        Problem(
            "FS-872",
            "A server of the demo did not get ready",
            "Read the log in the server's folder; on a slow machine try again.",
        ),
        Problem(
            "FS-873",
            "The study has too few sites",
            "Put each site's data into the study's folder data/: one .csv, .parquet or "
            ".npz file, or one folder of images.",
        ),
        Problem(
            "FS-874",
            "The training of the demo failed",
            "Read the error above; the parties' logs are in the demo's folder.",
        ),
        Problem(
            "FS-875",
            "Another demo runs in this folder",
            "Stop it (Ctrl-C), or name another folder with --folder.",
        ),
        Problem(
            "FS-876",
            "The demo cannot write where it is to",
            "Name a folder that you may write to with --folder.",
        ),
        Problem(
            "FS-877",
            "A site has the name of a party of the demo",
            "Rename the site's file or folder.",
        ),
        Problem(
            "FS-880",
            "A clock is off",
            "Type `timedatectl set-ntp true` on the machine whose clock is wrong.",
        ),
        Problem(
            "FS-881",
            "The disk is nearly full",
            "Delete what is not needed, or name a folder on another disk in the "
            "configuration.",
        ),
        Problem(
            "FS-882",
            "A server's certificate is not trusted",
            "The server's operator types `fedsecure renew-tls --host HOST`, or brings "
            "a certificate for this host from the CA that was handed over.",
        ),
        Problem(
            "FS-883",
            "A server's certificate ends soon",
            "The server's operator types `fedsecure renew-tls`, or renews it where it "
            "comes from; then the server is restarted.",
        ),
        Problem(
            "FS-884",
            "The data folder is open to others",
            "Type `chmod o-rwx` and the folder: it holds keys of rounds.",
        ),
        Problem(
            "FS-885",
            "What this role needs is not installed here",
            "Type `pip install 'fedsecure[aggregator]'`, `fedsecure[agent]` or "
            "`fedsecure[owner]`.",
        ),
        Problem(
            "FS-890",
            "The password of a database cannot be used",
            "`database_password` in aggregator.toml names a file of one line that "
            "others cannot read (`chmod o-rwx`), and `database` is a postgresql:// URL "
            "with a user in it.",
        ),
        Problem(
            "FS-891",
            "A server's certificate has ended",
            "Type `fedsecure renew-tls` in the server's folder, or renew it where it "
            "comes from; then restart the server.",
        ),
    )
}


def printable(text: str) -> str:
    """Keep what others wrote from steering the terminal that shows it.

    Lines stay. Every other character that does not print shows as "?", also half of
    one, as names of files hold that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def one_line(text: str) -> str:
    """Return a text for a place in a line, such as a column's name."""
    return printable(text).replace("\n", "?")


class FedsecureError(Exception):
    """Root of every error that fedsecure raises on purpose.

    Args:
        code: A key of `PROBLEMS`.
        detail: What happened and where, one sentence, no secrets.
    """

    def __init__(self, code: str, detail: str) -> None:
        detail = printable(detail)
        super().__init__(code, detail)  # with both, it can be copied and pickled
        self.problem = PROBLEMS[code]
        self.detail = detail

    @property
    def code(self) -> str:
        """The stable code, such as `FS-310`."""
        return self.problem.code

    def __str__(self) -> str:
        """Return code, title and detail on one line."""
        return f"{self.code} {self.problem.title}: {self.detail}"


class PeerError(FedsecureError):
    """Another party sent something that must be refused."""


class RoundStateError(FedsecureError):
    """A request that is right in itself came at the wrong time."""


class OperatorError(FedsecureError):
    """This party's own files, settings or surroundings are wrong."""


def described(error: Exception) -> tuple[str, str]:
    """Return code and detail for the log, also of what was not raised on purpose."""
    if isinstance(error, FedsecureError):
        return error.code, error.detail
    return "FS-540", f"{type(error).__name__}: {error}"

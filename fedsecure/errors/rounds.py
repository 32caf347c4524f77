"""3xx, rounds: at an aggregator, a data owner, the model owner, and in between."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import (
    ALONE,
    Evidence,
    Family,
    Finality,
    Problem,
    Spoiled,
    Stands,
)

FAMILIES: Final = (
    Family(
        339,
        "Rounds, at an aggregator",
        "An aggregator refused a request about a round. Who sent it sees the code: "
        "the model owner, or a data owner's agent.",
        answered=True,
    ),
    Family(
        350,
        "Rounds, at a data owner",
        f"An agent refused a round, or did not believe an aggregator. {ALONE}",
    ),
    Family(
        359,
        "Rounds, at the model owner",
        "What came back in a round does not belong together. The model owner sees it.",
    ),
    Family(
        363,
        "Messages through Flower",
        "A message between model owner and agent is not as it must be. Who reads it "
        "sees the code.",
    ),
    Family(
        364,
        "An agent's reply",
        "A data owner is not in the round. The model owner sees it, and not why.",
    ),
    Family(
        367,
        "The ClientApp's reply",
        f"The app that a data owner installed did not do what was asked. {ALONE}",
    ),
    Family(379, "Training", "The training cannot go on. The model owner sees it."),
    Family(
        389,
        "An error of the ClientApp",
        f"The app that a data owner installed raised an error. {ALONE}",
    ),
    Family(
        399,
        "Jobs, at an aggregator",
        "An aggregator refused a request about a job, or its outputs do not match. "
        "Who sent it sees the code: a proposer, an input's owner, a client.",
        answered=True,
    ),
)

PROBLEMS: Final = (
    Problem(
        "FS-300",
        "Unknown round",
        "Send the round's spec to this aggregator first.",
        HTTPStatus.NOT_FOUND,
        evidence=Evidence.NONE,  # asked about a round never granted here
        final=Finality.ATTEMPT,
        stands=Stands.NEVER_GRANTED,
    ),
    Problem(
        "FS-301",
        "The address names another round or job than the message",
        "Use the digest of its spec, in hex, as the round's or job's id.",
        evidence=Evidence.NONE,  # carried to another round's address
        final=Finality.ROUND,
    ),
    Problem(
        "FS-302",
        "Another spec was granted for this round",
        "Send the same spec again, or void it at both aggregators and propose a "
        "new attempt.",
        HTTPStatus.CONFLICT,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-303",
        "Another attempt at this round stands in the way",
        "Void the other attempt at both aggregators, then propose a higher one.",
        HTTPStatus.CONFLICT,
        evidence=Evidence.NONE,  # a spec that came after the next attempt's
        final=Finality.ROUND,
    ),
    Problem(
        "FS-304",
        "This round was opened already",
        "A round is opened once: ask for the same set again, or go on with the "
        "next round.",
        HTTPStatus.CONFLICT,
        final=Finality.ROUND,
        stands=Stands.OPENED,
    ),
    Problem(
        "FS-305",
        "This round is void",
        "Propose a new attempt; nothing of a void round is kept.",
        HTTPStatus.GONE,
        evidence=Evidence.NONE,
        final=Finality.ATTEMPT,
    ),
    Problem(
        "FS-306",
        "The round's deadline has passed",
        "Wait for the next round; compare the clocks if this comes too early.",
        HTTPStatus.CONFLICT,
        evidence=Evidence.NONE,  # a report came after the deadline
    ),
    Problem(
        "FS-307",
        "Nothing was reported in this round yet",
        "Wait for receipts, then open the round.",
        HTTPStatus.CONFLICT,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-308",
        "The round's grant has expired",
        "Go on with the next round; its key and reports were deleted.",
        HTTPStatus.GONE,
        evidence=Evidence.NONE,  # what was asked for is deleted
        final=Finality.ATTEMPT,
    ),
    Problem(
        "FS-310",
        "An upload does not belong where it was sent",
        "Send it to the round or job, the aggregator and the address that its header "
        "names; if this comes again, compare `fedsecure --version` on both sides.",
        evidence=Evidence.NONE,  # carried to another party's address
    ),
    Problem(
        "FS-311",
        "This party is not one that the spec names",
        "Nothing to do: a round has its cohort, a job the owners of its inputs and its "
        "clients.",
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
        "An upload's bytes are not those of its header",
        "The upload was cut or changed on its way: send the same bytes again.",
        evidence=Evidence.NONE,  # an upload was cut off
        spoiled=Spoiled.UPLOAD,
    ),
    Problem(
        "FS-314",
        "A report does not open",
        "It was sealed for another key, round or aggregator, or changed; nothing "
        "was counted. If it happens in the next round too, compare `fedsecure "
        "--version` on both sides.",
        evidence=Evidence.FAULT_IF_COVERED,
    ),
    Problem(
        "FS-315",
        "A message is longer than it can be",
        "Compare its size with what the spec of its round or job says.",
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
        "Too many uploads of one party at once",
        "Wait until the earlier upload ends, then send the same bytes again.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=5,
    ),
    Problem(
        "FS-319",
        "An upload stood still for too long",
        "Check the line, then send the same bytes again.",
        HTTPStatus.REQUEST_TIMEOUT,
        retry=5,
    ),
    Problem(
        "FS-320",
        "Too few reports to open",
        "Wait for more receipts, or void the round; this aggregator's minimum "
        "stands in its aggregator.toml.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-321",
        "A member of the set may not be in it",
        "Ask only for members of the spec's cohort that are on the roster.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-322",
        "A member of the set has no such report here",
        "Leave out data owners of whom this aggregator gave no receipt.",
        HTTPStatus.CONFLICT,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-323",
        "A receipt is missing or does not fit",
        "Send one receipt of each aggregator for every member, in the set's order.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-324",
        "The set would tell a few data owners apart",
        "Together with sets that were opened before, its sum would tell about a "
        "few data owners alone: take the same set again, or start from other first "
        "weights: `fedsecure train --weights-seed N`, which needs no new approval.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-325",
        "A member of the set has no privacy budget left for the opening",
        "Nothing was opened and nothing is charged; the run ends with its model so "
        "far. A study whose budget is used up is over: begin another with fewer rounds "
        "or a larger epsilon, which data owners approve anew.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
        spent=True,
    ),
    Problem(
        "FS-326",
        "Too many requests in a short time",
        "Wait as long as `Retry-After` says; the aggregator sets "
        "requests_per_minute in aggregator.toml, section [policy].",
        HTTPStatus.TOO_MANY_REQUESTS,
        retry=5,
    ),
    Problem(
        "FS-328",
        "A stored report was lost",
        "Nothing was opened: leave out the data owners that are named, as "
        "`fedsecure train` does by itself, or void the round. The aggregator's log "
        "and ledger say what was wrong with the file.",
        HTTPStatus.GONE,
        evidence=Evidence.NONE,  # a report that this aggregator has lost
        final=Finality.ATTEMPT,
    ),
    Problem(
        "FS-329",
        "The aggregate share was lost",
        "The round was opened and its sum cannot be had any more: its number is "
        "burnt, go on with the next round. The aggregator's log names the file.",
        HTTPStatus.GONE,
        evidence=Evidence.NONE,  # a share that it has lost
        final=Finality.ROUND,
    ),
    Problem(
        "FS-330",
        "The round is not decided yet",
        "Ask again once the round is opened or void.",
        HTTPStatus.CONFLICT,
        retry=2,
        undecided=True,
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
        final=Finality.ROUND,
    ),
    Problem(
        "FS-340",
        "The task is not the one that the spec names",
        "Do not take part: ask the model owner why this party got "
        "another task than the signed one.",
    ),
    Problem(
        "FS-341",
        "This party is not asked",
        "Nothing to do: the round or the job asks others, or for something else.",
    ),
    Problem(
        "FS-342",
        "Somebody who is no data owner is in the cohort",
        "Do not take part: ask the model owner about the party that is named.",
    ),
    Problem(
        "FS-343",
        "The cohort is smaller than min_cohort",
        "Model owner: wait for more data owners, or lower min_cohort in study.toml.",
    ),
    Problem(
        "FS-344",
        "The grants of both aggregators are needed",
        "Do not take part: compare federation.toml with both aggregators.",
    ),
    Problem(
        "FS-345",
        "A grant does not fit",
        "Do not take part: the round or the job must be proposed anew; if it happens "
        "again, ask both aggregators.",
    ),
    Problem(
        "FS-346",
        "There is nothing to weigh",
        "Check the data file that agent.toml names: no row is left for training.",
    ),
    Problem(
        "FS-347",
        "The deadline is over",
        "Compare this machine's clock with that of who proposed the round or the job; "
        "nothing was sent. Where inputs are missing, propose the job anew.",
    ),
    Problem(
        "FS-348",
        "This round was answered already",
        "Nothing to do: a data owner never shards twice for one round.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-349",
        "A receipt is for something else",
        "Ask the aggregator that is named; the report or input counts as not received.",
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
        final=Finality.SHARES,
        spoiled=Spoiled.SHARE,
    ),
    Problem(
        "FS-355",
        "The key of a round or a job is gone",
        "Keep the folder `rounds` beside the round store, and the folder `jobs`. It "
        "cannot be opened any more: `fedsecure train --resume` goes on without the "
        "round; propose the job anew.",
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
        "Return one ArrayRecord with the same names and shapes as the one received.",
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
        "FS-374",
        "The study's privacy budget is spent",
        "Take the model so far, or start a new study: in study.toml write a larger "
        "`epsilon` or fewer `rounds`, then have the data owners approve it. The budget "
        "is the study's, over all its runs; what was spent of it is never given back.",
        spent=True,
    ),
    Problem(
        "FS-375",
        "The study's columns cannot be counted in one round",
        "Model owner: give schema.toml fewer columns, or a category fewer values. A "
        "study with a section [app] has no schema, and so no statistics.",
    ),
    Problem(
        "FS-376",
        "The round is held for something else than its task",
        "The model owner runs another version or is dishonest: ask before you "
        "take part.",
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
    Problem(
        "FS-390",
        "Unknown job",
        "Send the job's spec to this aggregator first; of a job that you did not "
        "propose, ask its proposer for a new file.",
        HTTPStatus.NOT_FOUND,
        evidence=Evidence.NONE,  # asked about a job never granted here
        stands=Stands.NEVER_GRANTED,
    ),
    Problem(
        "FS-391",
        "The job is not that far yet",
        "Ask again once inputs, and the other aggregator's channel key, are there.",
        HTTPStatus.CONFLICT,
        retry=2,
        undecided=True,
    ),
    Problem(
        "FS-392",
        "The job is over",
        "Propose a new job; of one that is over nothing is kept.",
        HTTPStatus.GONE,
        evidence=Evidence.NONE,
        stands=Stands.ENDED,
    ),
    Problem(
        "FS-395",
        "A query's number was used, or passed over",
        "Ask with a number above all that this client has used for this service. Two "
        "programs with one client's key need one folder of numbers.",
        HTTPStatus.CONFLICT,
        evidence=Evidence.NONE,  # a query that came after the next one
    ),
    Problem(
        "FS-396",
        "What the aggregators computed does not match",
        "Do not use the result, and send nothing more for this job. Keep its file as "
        "evidence: ask its proposer and both aggregators; one of them does not keep "
        "to the protocol.",
    ),
    Problem(
        "FS-397",
        "Something else is stored already",
        "Send the stored bytes again: a job has one start, one channel key and one "
        "of each input.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-398",
        "More rows than the service answers this client",
        "Ask the model owner for a new service; what you were answered stays yours.",
        HTTPStatus.FORBIDDEN,
        evidence=Evidence.NONE,  # two programs of one client asked at once
    ),
)

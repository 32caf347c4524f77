"""4xx, policies and studies: what is forbidden, what a study is, who approves it."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import ALONE, Evidence, Family, Finality, Problem

FAMILIES: Final = (
    Family(
        409,
        "An aggregator's policy",
        "An aggregator's own rules forbid what the model owner asked for. The model "
        "owner sees the code.",
        answered=True,
    ),
    Family(
        419,
        "A data owner's policy",
        f"A data owner's own rules forbid the round. {ALONE}",
    ),
    Family(
        425,
        "Models and tasks",
        "The model owner sees it when it builds the model; a data owner sees it in its "
        "agent's log when the agent refuses what arrived.",
    ),
    Family(
        427,
        "A study's terms",
        f"A model owner asks for something else than the study says. {ALONE}",
    ),
    Family(
        429,
        "Approving studies",
        "A command about a study cannot do what it was told. Who typed it sees it.",
    ),
    Family(
        431,
        "Privacy at a data owner",
        "A data owner's own rules about noise, or what it has told already, forbid the "
        f"round. {ALONE}",
    ),
    Family(
        439,
        "Building a model",
        "The study's model cannot be trained by anybody. The model owner sees it, "
        "before anything is sent.",
    ),
    Family(
        449,
        "Policies about jobs",
        "Somebody's own rules forbid a job: an aggregator's ([compute] in "
        "aggregator.toml), or those of who is asked for numbers ([policy.jobs]).",
        answered=True,
    ),
)

PROBLEMS: Final = (
    Problem(
        "FS-400",
        "The cohort is smaller than this aggregator allows",
        "Ask more data owners, or agree with the aggregator on a lower min_cohort.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-401",
        "The model is larger than this aggregator allows",
        "Agree with the aggregator on a higher max_dimension.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-402",
        "Too many rounds, or jobs, are open at this aggregator",
        "Open or void the earlier ones first.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=30,
    ),
    Problem(
        "FS-403",
        "The deadline is not acceptable",
        "Choose one in the future and within max_round_seconds, or max_job_seconds of "
        "a job; compare the clocks.",
        HTTPStatus.FORBIDDEN,
        evidence=Evidence.NONE,  # a spec that came after its deadline
        final=Finality.ROUND,
    ),
    Problem(
        "FS-404",
        "The cohort names somebody who is not a data owner",
        "Take the cohort from the roster in federation.toml.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-405",
        "The round's reports would be larger than this aggregator takes",
        "Agree with the aggregator on a higher max_body.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-406",
        "Too many rounds in an hour for this aggregator",
        "Wait, or agree with the aggregator on a higher max_rounds_per_hour.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
    ),
    Problem(
        "FS-407",
        "This aggregator does not allow what the study may tell about rows",
        "Set epsilon and delta in study.toml, section [privacy], to what its operator "
        "allows: privacy, max_epsilon and max_delta in aggregator.toml, section "
        "[policy]. A study never changes its unit, epsilon or delta: with others it "
        "is another study, which data owners approve anew.",
        HTTPStatus.FORBIDDEN,
        final=Finality.ROUND,
    ),
    Problem(
        "FS-408",
        "A data owner in the cohort has no privacy budget left for the round",
        "The run ends with its model so far. A study whose budget is used up is over; "
        "after a restore of this aggregator's store every study before it is. Begin "
        "another with fewer rounds or a larger epsilon, which data owners approve "
        "anew.",
        HTTPStatus.FORBIDDEN,
        evidence=Evidence.NONE,  # the store was restored
        final=Finality.ROUND,
        spent=True,
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
        "Data owner: add it to purposes in agent.toml, section [policy], if you agree.",
        HTTPStatus.FORBIDDEN,
    ),
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
        consent=True,
    ),
    Problem(
        "FS-419",
        "A person refused the study here",
        "Data owner: `fedsecure agent review STUDY` shows it; `fedsecure agent "
        "approve STUDY` takes the refusal back.",
        HTTPStatus.FORBIDDEN,
        consent=True,
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
        "Use a strategy that sets no other values than server-round and proximal-mu.",
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
        "FS-426",
        "The study was answered under other terms before",
        "Data owner: compare both with `fedsecure agent review STUDY`; if the "
        "model owner has a good reason, `fedsecure agent approve STUDY`. Terms "
        "that change from round to round are how single values are read.",
        HTTPStatus.FORBIDDEN,
        consent=True,
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
        "FS-430",
        "The round does not protect what this policy asks for",
        "Model owner: say in study.toml, section [privacy], what all data owners agree "
        "to. Data owner: change agent.toml, section [policy.privacy], only if you "
        "agree to less; where another study is named than the task is, ask the model "
        "owner before you take part.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-431",
        "The privacy budget of this data owner is used up",
        "Nothing was trained. `fedsecure agent status` shows what was spent. A study's "
        "own budget ends it for good: more is another study, to be approved anew. "
        "Data owner: raise max_epsilon in agent.toml, section [policy.privacy], only "
        "if you agree to tell more.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-432",
        "The training does not treat each row by itself",
        "Model owner: leave BatchNormalization (take GroupNormalization or "
        "LayerNormalization), dropout, noise and augmentation out of model.py, or "
        'write `step = "epochs"` in study.toml, section [training]; what protects '
        'single rows needs `step = "gradient"` and fedsecure\'s own Keras app.',
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
        "FS-440",
        "This aggregator does not compute jobs of that kind",
        "Agree with its operator on `kinds` in aggregator.toml, section [compute].",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-442",
        "Nobody agreed that this party receives outputs",
        "Ask whoever is named to add it to `receivers` in its configuration, section "
        "[policy.jobs], if it may learn them.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-443",
        "An input or a query has more rows than this aggregator takes",
        "Ask in smaller parts, or agree with its operator on a higher `max_rows` in "
        "aggregator.toml, section [compute].",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-444",
        "A job needs more memory than this aggregator gives",
        "Make a smaller program, or agree with its operator on a higher `max_memory` "
        "in aggregator.toml, section [compute].",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-445",
        "A service has answered all queries that this aggregator allows",
        "Ask the model owner for a new service; `max_queries` in aggregator.toml, "
        "section [compute], says how many it answers.",
        HTTPStatus.FORBIDDEN,
        evidence=Evidence.NONE,  # other clients used them up
    ),
    Problem(
        "FS-446",
        "This aggregator computes no jobs",
        "Ask its operator: it computes them with `enabled = true` in aggregator.toml, "
        "section [compute].",
        HTTPStatus.FORBIDDEN,
        evidence=Evidence.NONE,  # nobody can know before asking
    ),
    Problem(
        "FS-447",
        "An output hides a party's numbers among those of too few",
        "Nothing was sent. Proposer: let each output be one sum over more parties, "
        "each of whose inputs is in no other, with small whole numbers as weights. "
        "Who is asked: lower `min_owners`, section [policy.jobs], only if the "
        "receiver may learn your numbers.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-448",
        "This party shares no numbers in jobs",
        "Nothing was sent. If it is to share some, write a section [policy.jobs] into "
        "its configuration; one with [policy.privacy] shares none, for nothing adds "
        "noise to what jobs open.",
        HTTPStatus.FORBIDDEN,
    ),
)

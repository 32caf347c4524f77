"""`fedsecure train`: the model owner's command."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.system.lifeline import interruptible


def command(
    config: Annotated[Path, typer.Option(help="The model owner's owner.toml.")] = Path(
        "owner.toml"
    ),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Instead of the study's own number.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on with a run that was interrupted; `fedsecure rounds list "
            "--runs` shows them.",
        ),
    ] = None,
    from_round: Annotated[
        str | None,
        typer.Option(
            "--from-round",
            metavar="RUN:N",
            help="Start a new run from the model of an accepted round; N alone is one "
            "of the newest run.",
        ),
    ] = None,
    weights_seed: Annotated[
        int | None,
        typer.Option(
            "--weights-seed",
            metavar="N",
            min=0,
            max=2**32 - 1,
            help="Draw the first weights from this seed: the same study begins from a "
            "model that no sum was opened over yet.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="With --from-round: although the round is not accepted."
        ),
    ] = False,
) -> None:
    """Train a study (model owner): wait for the agents, then go round by round.

    It starts the SuperLink, through which agents get their tasks; it ends with it.

    Example: fedsecure train --config owner.toml --rounds 20
    """
    if resume is not None and rounds is not None:
        msg = "a run that goes on has its number of rounds: no --rounds with --resume"
        raise typer.BadParameter(msg)
    if resume is not None and from_round is not None:
        msg = "--resume goes on with a run, --from-round starts another: not both"
        raise typer.BadParameter(msg)
    if weights_seed is not None and (resume or from_round):
        msg = "--resume and --from-round have their first weights: no --weights-seed"
        raise typer.BadParameter(msg)
    # What loads slowly is here, so that `--help` answers at once; TensorFlow comes
    # last, so that a slip in owner.toml or study.toml is told before it.
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.review.terminal.progress import RoundTable  # noqa: PLC0415
    from fedsecure.study.app_study import load_any_study  # noqa: PLC0415

    settings = load_owner_settings(config)
    study = replace(load_any_study(settings.study), weights_seed=weights_seed)
    from fedsecure.frameworks.flower.framework import flower  # noqa: PLC0415
    from fedsecure.frameworks.flower.runtime import quiet  # noqa: PLC0415
    from fedsecure.frameworks.flower.strategies import build_strategy  # noqa: PLC0415
    from fedsecure.frameworks.model_sources import build_source, load_framework  # noqa: PLC0415
    from fedsecure.owner.jobs.rollback import Beginning  # noqa: PLC0415
    from fedsecure.owner.jobs.train import (  # noqa: PLC0415
        Progress,
        TrainingJob,
        Wanted,
    )
    from fedsecure.owner.process import open_owner  # noqa: PLC0415

    build_strategy(study)
    load_framework(study)
    quiet()
    with (
        interruptible(),
        RoundTable(
            study.title, again=f"--config {config} ", budget=study.privacy
        ) as table,
        open_owner(settings, table.stage) as owner,
    ):
        progress = Progress(
            table.study,
            table.stage,
            table.row,
            table.interrupted,
            table.waiting,
            table.diverged,
        )
        beginning = None
        if from_round is not None:
            beginning = Beginning(from_round, forced=force)
            if force:
                table.stage(f"starting from round {from_round}, accepted or not")
        framework, build = flower(owner, study), partial(build_source, study)
        job = TrainingJob(owner, study, build, framework, progress)
        model = job.run(Wanted(rounds, resume, beginning))
        table.done(model)

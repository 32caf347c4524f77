"""The commands of `fedsecure job`."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.cli.jobs import page
from fedsecure.cli.jobs.values import as_text, read_values, write_results
from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.folder import JobFolder, OwnJob
from fedsecure.compute.handout import Handout
from fedsecure.compute.participant import Participant, open_participant
from fedsecure.compute.programs.program_file import load_program
from fedsecure.errors import OperatorError
from fedsecure.membership.own_party import find_config
from fedsecure.system.lifeline import interruptible
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import screen

DAY = 86400.0

Config = Annotated[
    Path | None,
    typer.Option(
        help="This party's owner.toml, agent.toml or client.toml; default: that here."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Which = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="A job's file; or, of a job proposed here, its name or eight or more "
        "digits of its digest.",
    ),
]

app = typer.Typer(help="Share numbers, and open what is made of them (any party).")


@app.callback()
def job() -> None:
    """Share numbers, and open what is made of them (any party)."""


@app.command()
def propose(
    program: Annotated[
        Path, typer.Argument(metavar="PROGRAM", help="The program, a .toml file.")
    ],
    config: Config = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: NAME.job.json, here."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Propose a job to both aggregators; write the file for whoever is asked.

    The program says whose numbers are asked for and which formulas of them you will
    receive. Nobody else receives anything.

    Example: fedsecure job propose sums.toml --config client.toml
    """
    file = load_program(program)
    with interruptible(), _participant(config) as p:
        compiled, folder = file.compiled(p.name), JobFolder(p.folder)
        public = {name: one.tolist() for name, one in compiled.public.items()}
        described = {"title": file.title, "public": public}
        request = proposal.Request(
            file.name,
            compiled.circuit,
            seconds=file.days * DAY,
            description=described,
        )
        key = proposal.new_key(p)
        spec = proposal.sign(p, request, key)
        folder.begin(spec, key)
        handout = proposal.grant(p, spec, described)
        folder.save(handout)
        for name, numbers in compiled.public.items():
            inputs.contribute(p, handout, name, numbers)
        path = output or Path(f"{file.name}.job.json")
        handout.write(path)
        asked = sorted(set(inputs.owners(handout).values()) - {p.name})
        if as_json:
            told = {"job": file.name, "digest": handout.digest, "file": str(path)}
            typer.echo(json.dumps({**told, "asked": asked}))
            return
        _show(p, handout, states=False)
        whom = ", ".join(asked) or "nobody"
        typer.echo(f"\n{path} is for {whom}: `fedsecure job show {path.name}`")
        typer.echo(f"the result, once all is there: `fedsecure job export {file.name}`")


@app.command()
def show(which: Which, config: Config = None, as_json: Json = False) -> None:
    """Show what a job computes, what it tells about your numbers, how it stands.

    Example: fedsecure job show sums.job.json --config agent.toml
    """
    with _participant(config) as p:
        handout = _handout(p, which)
        if as_json:
            found = page.states(p, handout.digest)
            typer.echo(json.dumps(page.as_data(p, handout, found), indent=2))
            return
        _show(p, handout, states=True)


@app.command("list")
def list_jobs(config: Config = None, as_json: Json = False) -> None:
    """List the jobs that this party proposed, and their states at both aggregators.

    Example: fedsecure job list --config client.toml
    """
    with _participant(config) as p:
        names = [party.name for party in p.federation.pair]
        jobs = [
            (one, _states(p, one)) for one in JobFolder(p.folder).jobs(p.federation)
        ]
        if as_json:
            told = [
                {
                    "job": one.name,
                    "digest": one.spec.digest,
                    "until": page.until(one),
                    "states": dict(zip(names, states, strict=True)),
                }
                for one, states in jobs
            ]
            typer.echo(json.dumps(told, indent=2))
            return
        screen().print(page.jobs_table(jobs, names))


@app.command()
def contribute(
    which: Which,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT=FILE...",
            help="For each input that is asked of you, a .csv or .npy file.",
        ),
    ],
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Give the numbers that a job asks of you, after you read what it tells.

    They are shared between both aggregators, so that neither of them sees any. Your
    rules, [policy.jobs], are held against the job before anything is sent.

    Example: fedsecure job contribute sums.job.json ages=ages.csv --config agent.toml
    """
    with interruptible(), _participant(config) as p:
        handout = _handout(p, which)
        given = {name: read_values(file) for name, file in map(_assignment, values)}
        for name in given:
            inputs.require_input(p, handout, name)
        inputs.require_consent(p, handout)
        _show(p, handout, states=False)
        receiver = handout.spec.statement.receiver or "its clients"
        if not yes:
            typer.confirm(f"Share {', '.join(given)} for {receiver}?", abort=True)
        for name, numbers in given.items():
            inputs.contribute(p, handout, name, numbers)
            typer.echo(f"{name} is with both aggregators")


@app.command()
def void(
    which: Which,
    config: Config = None,
    reason: Annotated[
        str, typer.Option(help="One line for the others.")
    ] = "its proposer does not need it any more",
) -> None:
    """End a job that this party proposed; its inputs are deleted at both aggregators.

    Example: fedsecure job void sums --config client.toml
    """
    with _participant(config) as p:
        digest = _digest(p, which)
        for name, said in sorted(proposal.void(p, digest, reason).items()):
            typer.echo(f"{name} ended it: {said.statement.reason}")


@app.command()
def export(
    which: Which,
    config: Config = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv file for one output, a .json file for any; default: print "
            "JSON.",
        ),
    ] = None,
) -> None:
    """Wait for a job's inputs, open its result, and write it for you alone.

    Example: fedsecure job export sums --config client.toml --output sums.csv
    """
    with interruptible(), _participant(config) as p:
        handout = _handout(p, which)
        key = JobFolder(p.folder).key(handout.digest)
        found = outputs.fetch(p, handout, key)
    if output is None:
        typer.echo(as_text(found, Path("result.json")), nl=False)
        return
    write_results(output, as_text(found, output))
    typer.echo(f"{output} has {', '.join(found)}")


def _participant(config: Path | None) -> AbstractContextManager[Participant]:
    console = Console(stderr=True)
    return open_participant(find_config(config, Path()), console.print)


def _handout(p: Participant, which: str) -> Handout:
    if Path(which).is_file():
        return Handout.read(Path(which), p.federation)
    found = JobFolder(p.folder).find(which, p.federation)
    if found.handout is None:
        raise OperatorError("FS-801", f"{which} was not granted by both aggregators")
    return found.handout


def _digest(p: Participant, which: str) -> str:
    if Path(which).is_file():
        return Handout.read(Path(which), p.federation).digest
    return JobFolder(p.folder).find(which, p.federation).spec.digest


def _states(p: Participant, own: OwnJob) -> tuple[str, str]:
    found = page.states(p, own.spec.digest)
    if found is None:
        return page.AWAY, page.AWAY
    first, second = p.federation.pair
    return found[first.name].state, found[second.name].state


def _assignment(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        msg = f"{text!r} is not INPUT=FILE"
        raise typer.BadParameter(msg)
    return name, Path(file)


def _show(p: Participant, handout: Handout, *, states: bool) -> None:
    out, found = screen(), page.states(p, handout.digest) if states else None
    out.print(page.facts(handout))
    for name, one in sorted((found or {}).items()):
        out.print(f"{name}: {one.state}{f', {one.reason}' if one.reason else ''}")
    out.print()
    out.print(page.inputs_table(handout, found))
    if not handout.spec.statement.is_service:
        out.print()
        out.print(page.outputs_table(p, handout))
        if p.name in inputs.owners(handout).values():
            out.print(page.agreement(p, handout))

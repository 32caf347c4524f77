"""Change the verification steps in every small way, and see that a test notices each.

    python tests/mutation/run.py             all groups of steps.toml
    python tests/mutation/run.py tokens      one of them

Works on a copy of what git tracks, in a temporary folder. Prints each mutant that
survived as a diff, and fails if there is one.
"""

import argparse
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
STEPS: Final = Path(__file__).with_name("steps.toml")
NOTICED: Final = {"killed", "caught by type check", "timeout"}
MEMBERS: Final = ("aggregator", "clients", "bench")
COPIED: Final = ("docs", "studies", "README.md", "Makefile")


def main() -> None:
    """Run the groups that were asked for."""
    parser = argparse.ArgumentParser(description="Mutation test of the checks.")
    parser.add_argument("groups", nargs="*")
    wanted = parser.parse_args().groups
    groups = tomllib.loads(STEPS.read_text("utf-8"))["group"]
    chosen = [group for group in groups if not wanted or group["name"] in wanted]
    survivors = [one for group in chosen for one in survivors_of(group)]
    print(f"{len(survivors)} survived")  # noqa: T201
    sys.exit(bool(survivors))


def survivors_of(group: dict[str, Any]) -> list[str]:
    """Mutate one group; return what no test noticed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tree"
        copy_tree(folder)
        configure(folder, group)
        mutmut(folder, "run", *group["functions"])
        states = states_of(folder, group["functions"])
        survivors = [
            diff
            for mutant, state in states.items()
            if state not in NOTICED
            and changed_lines(diff := mutmut(folder, "show", mutant))
            not in accepted(group)
        ]
    print(f"{group['name']}: {len(states)} mutants, {len(survivors)} survived")  # noqa: T201
    for diff in survivors:
        print(diff)  # noqa: T201
    return survivors


def copy_tree(folder: Path) -> None:
    """Copy what git tracks, as it is in the work tree."""
    listed = subprocess.run(
        [
            shutil.which("git") or "git",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for file in filter(None, listed.stdout.split("\0")):
        if (ROOT / file).is_file():
            place = folder / importable(file)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, place)


def importable(file: str) -> str:
    """Return where a file lies in the copy: packages at the top, as mutmut wants it."""
    member, _, rest = file.partition("/")
    return rest if member in MEMBERS and rest.startswith("fedsecure_") else file


def configure(folder: Path, group: dict[str, Any]) -> None:
    """Write mutmut's settings; it takes those of setup.cfg if pyproject has none."""
    settings = {
        "source_paths": ["fedsecure", "fedsecure_aggregator", "fedsecure_clients"],
        "only_mutate": group["modules"],
        "also_copy": COPIED,
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-x", "-q"],
        "pytest_add_cli_args_test_selection": group["tests"],
        "type_check_command": [
            *("mypy", "--config-file", "tests/mutation/mypy.ini"),
            *("--output", "json"),
        ],
    }
    lines = ["[mutmut]"]
    for key, values in settings.items():
        lines += [f"{key} =", *(f"    {value}" for value in values)]
    (folder / "setup.cfg").write_text("\n".join(lines) + "\n", "utf-8")


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in the copy, with the programs of this environment."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [str(scripts / "mutmut"), *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
    )
    if done.returncode:
        sys.exit(f"mutmut {arguments[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def states_of(folder: Path, functions: list[str]) -> dict[str, str]:
    """Return how each mutant of these functions ended."""
    rows = (
        line.strip().rsplit(": ", 1)
        for line in mutmut(folder, "results", "--all", "true").splitlines()
        if ": " in line
    )
    states = {
        name: state
        for name, state in rows
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in functions)
    }
    if not states:
        sys.exit(f"no mutant of {', '.join(functions)}")
    return states


def accepted(group: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the changed lines of mutants that do the same as the original."""
    return [tuple(one["lines"]) for one in group.get("equivalent", ())]


def changed_lines(diff: str) -> tuple[str, ...]:
    """Return the lines that a diff takes away and adds, without their indentation."""
    lines = (line for line in diff.splitlines() if line[:1] in {"-", "+"})
    return tuple(
        f"{line[0]} {line[1:].strip()}"
        for line in lines
        if not line.startswith(("---", "+++"))
    )


if __name__ == "__main__":
    main()

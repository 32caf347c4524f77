"""What a Debian 12 machine lacks for an engine of its own; all from Debian's mirror.

    engine      docker.io, whose packaging starts nothing in CI
    plugins     Compose v2 and buildx are packaged from Debian 13 on; each is one
                program that needs libc alone, so it is taken out of its package
    images      those that Dockerfile and compose file name, if a registry answers; else
                stand-ins of Debian's own Python and PostgreSQL, under the same names

A stand-in holds this machine's certificates, for the pip in the build. It proves that
our files work, not that the official images are as we think.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

BASE: Final = "python:3.11-slim-bookworm"
POSTGRES: Final = "postgres:15-bookworm"
POSTGRES_FOLDER: Final = Path(__file__).with_name("postgres")
PACKAGES: Final = ("docker.io", "mmdebstrap")
PLUGINS: Final = ("docker-compose", "docker-buildx")
LATER: Final = "trixie"  # Debian 13
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
BUILT_FROM: Final = "org.fedsecure.stand-in"

ROOT: Final = (  # mmdebstrap's arguments
    *("--mode=root", "--variant=minbase", "--format=tar"),
    "--include=python3,python3-venv,python3-pip,ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    f"--customize-hook=copy-in {CERTIFICATES} /etc/ssl/certs",
    "bookworm",
)
SETTINGS: Final = (  # as in the official image, and where pip finds certificates
    "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    f"ENV LANG=C.UTF-8 PIP_CERT={CERTIFICATES} SSL_CERT_FILE={CERTIFICATES}",
    'CMD ["python3"]',
)

Docker = Callable[..., str]


def is_supported() -> bool:
    """Tell whether this is the Debian whose packages are known to do."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME") == "bookworm"
    except OSError:
        return False


def install_engine() -> None:
    """Install the engine and what makes base images, unless they are there."""
    if shutil.which("dockerd") and shutil.which("mmdebstrap"):
        return
    _run("apt-get", "update", "-qq")
    # What the machine has stays as it is: an upgrade would rewrite certificates.
    options = ("-y", "-qq", "--no-install-recommends", "--no-upgrade")
    _run("apt-get", "install", *options, *PACKAGES)


def fetch_plugins(state: Path) -> None:
    """Put Compose v2 and buildx where docker looks, unless they are there."""
    plugins = state / "cli-plugins"
    if all((plugins / name).exists() for name in PLUGINS):
        return
    apt = state / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    sources = apt / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {LATER} main\n")
    ours = [  # the machine's own list of sources is not touched
        *("-qq", "-o", f"Dir::Etc::sourcelist={sources}"),
        *("-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={apt}/lists"),
        *("-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=root"),
    ]
    _run("apt-get", *ours, "update")
    _run("apt-get", *ours, "download", *PLUGINS, folder=apt)
    for package in apt.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(package), str(apt / "extracted"))
    shutil.copytree(apt / "extracted/usr/libexec/docker/cli-plugins", plugins)
    shutil.rmtree(apt)


def provide_images(state: Path, docker: Docker) -> str:
    """Have the images that are named but not built, and say what they are."""
    recipe = _recipe(repr((ROOT, SETTINGS)))
    stand_in = _found(docker, BASE)
    if stand_in and stand_in != recipe:
        _make_python(state, docker, recipe)
    files = [path.read_text() for path in sorted(POSTGRES_FOLDER.iterdir())]
    recipe = _recipe(repr((recipe, files)))
    postgres = _found(docker, POSTGRES)
    if postgres and postgres != recipe:
        _make_postgres(docker, recipe)
    return "on stand-ins for the base images" if stand_in else "on official images"


def _recipe(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _found(docker: Docker, image: str) -> str:
    """Return which recipe a stand-in was made by; "absent", or nothing if official."""
    label = f'{{{{index .Config.Labels "{BUILT_FROM}"}}}}'
    try:
        return docker("image", "inspect", "--format", label, image).strip()
    except Exception:  # noqa: BLE001 - for whatever reason it is not there
        return _pull(docker, image)


def _pull(docker: Docker, image: str) -> str:
    try:
        docker("pull", "--quiet", image)
    except Exception:  # noqa: BLE001 - there need not be a registry
        return "absent"
    return ""


def _make_postgres(docker: Docker, recipe: str) -> None:
    label = ("--label", f"{BUILT_FROM}={recipe}")
    build = ("build", "--quiet", "--network", "host", *label, "--tag", POSTGRES)
    docker(*build, str(POSTGRES_FOLDER))


def _make_python(state: Path, docker: Docker, recipe: str) -> None:
    root = state / "root.tar"
    _run("mmdebstrap", "--quiet", *ROOT, str(root), _mirror())
    changes = [*SETTINGS, f"LABEL {BUILT_FROM}={recipe}"]
    options = [word for change in changes for word in ("--change", change)]
    docker("import", *options, str(root), BASE)
    root.unlink()


def _mirror() -> str:
    """Return the mirror that this machine has its packages from."""
    wanted = ("$(REPO_URI)", "Created-By: Packages", "Codename: bookworm")
    found = _run("apt-get", "indextargets", "--format", *wanted).split()
    if not found:
        msg = "apt knows no source for bookworm"
        raise RuntimeError(msg)
    return found[0]


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"{' '.join(command)}: {(done.stdout + done.stderr)[-4000:]}"
        raise RuntimeError(msg)
    return done.stdout

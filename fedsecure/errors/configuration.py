"""8xx, configuration: files, commands and a party's own machine."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import Family, Problem

FAMILIES: Final = (
    Family(
        899,
        "Settings and commands",
        "A file or an option of one's own is wrong. Who typed the command sees it.",
    ),
)

PROBLEMS: Final = (
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
        "Name owner.toml, aggregator.toml, agent.toml, client.toml or dealer.toml "
        "with --config.",
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
        "Move the files to a path without quotes, backslashes and control characters.",
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
        "Install its package, and name it in agent.toml as app = 'package.module:app'; "
        "or put its file into a folder of yours and name that, too, as app_folder.",
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
        "The study's model is not what its build() has to return",
        "Let build() call model.compile(optimizer=..., loss=...) and return the Keras "
        "model; in a study with [app], return a dict of float32 numpy arrays by name.",
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
        "Type `pip install fedsecure-bench`.",
    ),
    Problem(
        "FS-848",
        "The aggregator of this machine does not answer",
        "Type `fedsecure doctor --config aggregator.toml` and look at its log; "
        "start it if it does not run.",
        HTTPStatus.SERVICE_UNAVAILABLE,
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
        absent=True,
    ),
    Problem(
        "FS-862",
        "No such round",
        "`fedsecure rounds list` shows every round of the run.",
        absent=True,
    ),
    Problem(
        "FS-863",
        "The round store holds no run yet",
        "`fedsecure train` starts one; the first round shows up within seconds.",
        absent=True,
    ),
    Problem(
        "FS-864",
        "There is nothing to draw yet",
        "Wait until a round is opened; `fedsecure rounds list` says how each one "
        "ended.",
        absent=True,
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
        "Read the lines of its log that are shown, and the whole log in its folder.",
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
        "Type `pip install fedsecure-aggregator` at an aggregator, `fedsecure-clients` "
        "at a data owner, `'fedsecure[owner]'` at a model owner.",
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

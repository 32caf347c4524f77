"""5xx, servers and the network: Flower's SuperLink, aggregators, consoles."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import Evidence, Family, Problem

FAMILIES: Final = (
    Family(
        519,
        "Flower's SuperLink",
        "Model owner and agents cannot talk through Flower. Who runs the command that "
        "says so sees it.",
    ),
    Family(
        529,
        "An aggregator's machine",
        "An aggregator's own disk, database or settings fail. Its operator sees why; "
        "others hear the code alone. (A full disk is FS-523 at every party.)",
    ),
    Family(
        540,
        "Requests",
        "An aggregator does not understand a request, or failed over it.",
        answered=True,
    ),
    Family(
        549,
        "An aggregator's store",
        "Its database or data folder is not what it was, or somebody else's. Its "
        "operator sees why; others hear the code alone. (The model owner meets FS-544 "
        "and FS-545, too, if its round store is on PostgreSQL.)",
    ),
    Family(
        559,
        "Reaching an aggregator",
        "A model owner or an agent got no answer that makes sense.",
    ),
    Family(
        579,
        "Computing on what is encrypted or shared",
        "This installation cannot do what a job needs. Who runs it sees the code; an "
        "aggregator answers with it before it grants anything.",
        answered=True,
    ),
    Family(
        599,
        "The console",
        "A console cannot start, or refuses what a browser asks. Who started it, or "
        "sits before the browser, sees it.",
    ),
)

PROBLEMS: Final = (
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
        passes=True,
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
        "Its last lines are shown; most often a certificate and its key do not match.",
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
        passes=True,
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
        "Make room on the disk of the data folder; senders try again by themselves.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
        answered=True,
    ),
    Problem(
        "FS-524",
        "A disk failed",
        "See the server's log and the system's, then restart the aggregator.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
        answered=True,
    ),
    Problem(
        "FS-525",
        "The database does not answer",
        "Check `database` in aggregator.toml and the database server.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=5,
        answered=True,
    ),
    Problem(
        "FS-526",
        "The disk is read-only",
        "See the system's log: a failing disk is often mounted read-only. Senders "
        "try again by themselves.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
        answered=True,
    ),
    Problem(
        "FS-527",
        "The TLS certificate or its key cannot be used",
        "Check [tls] in aggregator.toml: PEM files, and a key that belongs to "
        "the certificate.",
    ),
    Problem(
        "FS-528",
        "A backup cannot be made or used",
        "Name a new file for `fedsecure aggregator backup`, and one that it wrote "
        "for `fedsecure aggregator restore`.",
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
        retry=60,
    ),
    Problem(
        "FS-535",
        "Too many requests on one connection at once",
        "Wait for answers before more is asked; the connection is closed.",
        HTTPStatus.TOO_MANY_REQUESTS,
        retry=5,
    ),
    Problem(
        "FS-536",
        "No file descriptors are left",
        "Allow the server more of them (`ulimit -n`, LimitNOFILE of systemd, "
        "ulimits of Docker), or fewer connections ([connections] in "
        "aggregator.toml); senders try again by themselves.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=5,
    ),
    Problem(
        "FS-537",
        "Too many statements are on their way",
        "Send it again: others that came from the same address took the room.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=5,
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
        "FS-544",
        "The PostgreSQL server may lose what was committed",
        "Type in psql, as its superuser: ALTER SYSTEM SET fsync = on; ALTER SYSTEM "
        "SET full_page_writes = on; SELECT pg_reload_conf(); and start again.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
        answered=True,
    ),
    Problem(
        "FS-545",
        "The database is not as this process or data folder left it",
        "Commits were lost, or it was put back. Bring the newest database back; if "
        "there is none, stop the aggregator and type `fedsecure aggregator restore "
        "--as-it-is`. Nothing is written meanwhile.",
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry=60,
        answered=True,
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
        retry=60,
        answered=True,
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
        retry=60,
        answered=True,
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
        "FS-563",
        "Paillier encryption is not installed",
        "Type `pip install 'fedsecure[paillier]'` in this environment; an aggregator "
        "needs it for services that answer encrypted rows, and for nothing else.",
        HTTPStatus.NOT_IMPLEMENTED,
        evidence=Evidence.NONE,
        answered=True,
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
)

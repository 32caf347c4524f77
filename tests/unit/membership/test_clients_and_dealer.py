"""A client and a dealer come in, change keys and leave as everybody does."""

import dataclasses
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fedsecure.cli import _mount, app
from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.membership import handout, joining
from fedsecure.membership.changes import Kind
from fedsecure.membership.keygen import Wanted
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Federation, Role, load_federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import load_signing_key
from fedsecure_clients.agent.config import load_agent_settings, require_pinned
from tests.unit.membership.parties import BERN, CLINIC, DEALER, STUDY, World

NEW = pytest.mark.parametrize("wanted", [CLINIC, DEALER], ids=lambda one: one.name)
VETERANS = ("study", "north", "south", "basel", "bern")


@pytest.fixture(scope="module", autouse=True)
def _commands() -> None:
    _mount()


def seen(world: World, name: str) -> joining.Candidate:
    party = world[name]
    role, own = load_own(party.config)
    return joining.examine(party.receive(world.issuer.handed_over), role, own)


@pytest.fixture
def with_both(federation: World) -> World:
    """Version 2, which has a client and a dealer, is accepted by everybody."""
    federation.issuer.add(federation.files("clinic", "dealer"))
    federation.hand_over(*VETERANS, "clinic", "dealer")
    return federation


def test_they_start_with_the_version_that_all_accepted(with_both: World) -> None:
    everybody = (*VETERANS, "clinic", "dealer")
    assert len({with_both[name].start().federation.digest for name in everybody}) == 1
    federation = with_both["clinic"].start().federation
    assert federation.find("clinic")[0] is Role.CLIENT
    assert federation.find("dealer")[0] is Role.DEALER
    assert federation.previous is not None


def test_everybody_asks_a_dealer_and_both_ask_the_aggregators(
    federation: World,
) -> None:
    """A dealer that is the model owner in disguise must not get by unheard."""
    federation.issuer.add(federation.files("clinic", "dealer"))
    everybody = (*VETERANS, "clinic", "dealer")
    asked = {name: {p.name for p in seen(federation, name).asked} for name in everybody}
    assert asked == {
        **{name: {"dealer"} for name in VETERANS},  # the rest was told for version 1
        "clinic": {"north", "south", "dealer"},
        "dealer": {"north", "south"},
    }


def test_a_dealer_of_the_model_owners_own_is_refused_by_everybody_else(
    federation: World,
) -> None:
    told = federation.told
    impostor = federation.make(DEALER, "the owner's dealer")
    federation.issuer.add([impostor.identity_file, *federation.files("clinic")])
    for name in ("north", "south", "basel", "bern", "clinic"):
        party = federation[name]
        with pytest.raises(OperatorError, match=r"FS-754.*dealer"):
            party.join(party.receive(federation.issuer.handed_over), told)


@pytest.mark.parametrize("impostor", ["north", "south"])
def test_aggregators_of_the_model_owner_are_refused_by_a_client(
    world: World, impostor: str
) -> None:
    told = world.told
    wanted = replace(world[impostor].wanted)
    fake = world.make(wanted, "fake").identity_file
    other = {"north": "south", "south": "north"}[impostor]
    files = [fake, *world.files(other, "basel", "clinic", "dealer")]
    world.issuer.start("heart", files)
    for name in ("clinic", "dealer"):
        party = world[name]
        with pytest.raises(OperatorError, match=rf"FS-754.*{impostor}"):
            party.join(party.receive(world.issuer.handed_over), told)
        assert not party.federation.exists()


def test_what_an_agent_heard_of_a_dealer_is_no_aggregators_fingerprint(
    with_both: World,
) -> None:
    membership = with_both["basel"].start()
    agent = load_agent_settings(with_both["basel"].config)
    fingerprints = membership.accepted.fingerprints
    assert fingerprints.keys() == {"north", "south", "dealer"}
    require_pinned(agent, membership.federation, fingerprints)


@NEW
def test_each_change_of_theirs_is_shown_with_their_role(
    federation: World, wanted: Wanted
) -> None:
    name, role = wanted.name, wanted.role
    for change in (Kind.ADDED, Kind.ROTATED, Kind.RETIRED):
        if change is Kind.ADDED:
            federation.issuer.add(federation.files(name))
        elif change is Kind.ROTATED:
            anew = federation.make(wanted, f"{name} anew")
            federation.parties[name] = anew
            federation.issuer.rotate([anew.identity_file])
        else:
            federation.issuer.retire([name])
        (found,) = seen(federation, "basel").changes
        assert (found.kind, found.role, found.party.name) == (change, role, name)
        federation.hand_over("basel")


@NEW
def test_a_new_key_comes_into_use_with_the_version_that_has_it(
    with_both: World, wanted: Wanted
) -> None:
    party = with_both[wanted.name]
    anew = with_both.make(wanted, "anew")
    with_both.issuer.rotate([anew.identity_file])
    role, own = load_own(party.config)
    path = party.receive(with_both.issuer.handed_over)
    with pytest.raises(OperatorError, match="FS-746"):
        joining.examine(path, role, own)
    told = {**with_both.told, wanted.name: anew.identity.fingerprint}
    joining.accept(joining.examine(path, role, own, anew.home), told)
    key = party.start().author.key.public_key().public_bytes_raw()
    new = with_both["study"].receive(with_both.issuer.handed_over)
    assert load_federation(new).find(wanted.name)[1].verifier.public_bytes_raw() == key
    assert not (anew.home / "signing.pem").exists()


@NEW
def test_who_was_retired_hears_so_and_keeps_the_version_it_had(
    with_both: World, wanted: Wanted
) -> None:
    with_both.issuer.retire([wanted.name])
    party = with_both[wanted.name]
    with pytest.raises(OperatorError, match=rf"FS-827.*{wanted.name}.*version 3"):
        party.join(party.receive(with_both.issuer.handed_over), with_both.told)
    assert party.start().federation.number == 2
    # The others need nobody's words, and what a dealer's were is forgotten with it.
    with_both.hand_over("basel")
    assert with_both["basel"].start().federation.number == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CLINIC, CLINIC),
        (CLINIC, Wanted(Role.DATA_OWNER, "clinic")),
        (BERN, Wanted(Role.CLIENT, "bern")),
        (DEALER, Wanted(Role.CLIENT, "dealer")),
    ],
    ids=lambda one: f"{one.role} {one.name}",
)
def test_a_name_that_was_used_is_given_to_nobody_else_in_any_role(
    with_both: World, before: Wanted, after: Wanted
) -> None:
    """Openings, approvals and counts of answered rows go by names."""
    name = before.name
    with_both.issuer.retire([name])
    with_both.hand_over("north")
    other = with_both.make(after, "somebody else")
    with pytest.raises(PeerError, match=rf"FS-761.*{name}"):
        with_both.issuer.add([other.identity_file])
    # A model owner who writes such a version by hand gets no further.
    retired = load_federation(with_both.issuer.handed_over)
    content = retired.model_dump(mode="json")
    entry = other.identity.content()
    del entry["role"]
    room = "data_owners" if after.role is Role.DATA_OWNER else "clients"
    content[room] = [*content.get(room, []), entry]
    history = {"number": retired.number + 1, "previous": retired.digest}
    forged = Federation.model_validate({**content, **history})
    key = load_signing_key(with_both["study"].home / "signing.pem")
    path = with_both.root / "forged" / "federation.toml"
    bundle = with_both.issuer.handed_over.with_name("authorities.pem").read_bytes()
    handout.write(handout.issue(Author("study", key, forged), bundle), path)
    with pytest.raises(PeerError, match=rf"FS-761.*{name}"):
        with_both["north"].join(path, with_both.told)


def test_there_is_one_dealer_at_most(federation: World) -> None:
    federation.issuer.add(federation.files("dealer"))
    second = federation.make(dataclasses.replace(DEALER, name="second"))
    with pytest.raises(OperatorError, match=r"FS-756.*2 dealers"):
        federation.issuer.add([second.identity_file])


def test_clients_alone_make_no_federation(world: World) -> None:
    with pytest.raises(OperatorError, match=r"FS-756.*data_owners"):
        world.issuer.start("heart", world.files("north", "south", "clinic"))


@pytest.mark.parametrize("wanted", [CLINIC, DEALER, BERN], ids=lambda one: one.name)
@pytest.mark.parametrize("field", ["url", "superlink"])
def test_who_is_no_server_has_neither_address_nor_certificate(
    wanted: Wanted, field: str, world: World
) -> None:
    given = {"url": "https://a.test", "superlink": "a.test:9092"}[field]
    with pytest.raises(OperatorError, match="FS-814"):
        world.make(replace(wanted, **{field: given}), "addressed")
    with pytest.raises(OperatorError, match=r"FS-814.*no certificate"):
        world.make(replace(wanted, tls_hosts=["a.test"]), "serving")


def test_the_next_version_without_them_has_the_digest_of_one_that_never_had_them(
    with_both: World,
) -> None:
    with_both.issuer.retire(["clinic", "dealer"])
    text = with_both.issuer.handed_over.read_text()
    assert "clients" not in text
    assert "dealer" not in text
    after = load_federation(with_both.issuer.handed_over)
    assert not {"clients", "dealer"} & after.model_dump().keys()


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("client", "If the model owner calls to check"),
        ("dealer", "All others will call you"),
    ],
)
def test_commands_bring_them_in(world: World, role: str, said: str) -> None:
    def typed(*arguments: str, text: str | None = None) -> str:
        done = CliRunner().invoke(app, arguments, input=text)
        assert not isinstance(done.exception, FedsecureError), done.exception
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    home, owner = world.root / "new", str(world["study"].config)
    shown = typed("keygen", role, "--name", "new", "--folder", str(home))
    assert said in shown
    assert "Hand over to the model owner" in shown
    files = [*map(str, world.files("north", "south", "basel"))]
    files.append(str(home / "new.identity.toml"))
    made = typed("init", "heart", *files, "--config", owner)
    counted = {"client": "1 client", "dealer": "a dealer"}[role]
    assert f"1 data owners, {counted}, digest" in made
    words = "".join(f"{world[name].identity.words}\n" for name in ("north", "south"))
    config = str(home / f"{role}.toml")
    accepted = typed(
        *("join", str(world.issuer.handed_over), "--config", config), text=words + "y\n"
    )
    assert "accepted: heart, version 1" in accepted
    assert "Start" not in accepted


def test_a_client_makes_no_versions(with_both: World) -> None:
    config = str(with_both["clinic"].config)
    done = CliRunner().invoke(app, ["federation", "retire", "bern", "--config", config])
    assert isinstance(done.exception, OperatorError)
    assert done.exception.code == "FS-813"
    assert STUDY.name not in done.stdout

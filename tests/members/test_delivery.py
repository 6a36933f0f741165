"""E-mail through every fault of the mail server: nothing lost, nothing sent after cancelling, copies alike."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from policy_service.errors import StartError
from policy_service.members import Holding, Invitations, Postmark, Prompts, Sender, advice, links, manage_users
from policy_service.members.carriers import Folder, Smtp, clean
from policy_service.members.tokens import TokenKey
from policy_service.seed import install
from policy_service.store import DeliveryState
from policy_service.store.invitations import one
from policy_service.vocabulary import Physician, Role, User
from tests.conftest import SHIPPED_MODEL
from tests.support.people import MailServer, token_in

DR, OLIVE = Physician("dr-a"), User("olive")
POSTMARK = Postmark(sender="Billing <no-reply@billing.example>", link_base="https://billing.example/accept")
KEY = TokenKey(b"k" * 32)


class Clock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Office:
    """The use cases on a store, and senders on its outbox."""

    def __init__(self, store, model) -> None:
        self.store = store
        self.clock = Clock()
        self.invitations = Invitations(model, KEY, Prompts(1_000), valid_for=timedelta(days=7))

    async def invite(self, name: str) -> str:
        async with self.store.transaction(caller="test", actor=OLIVE) as tx:
            invitation = await self.invitations.invite(
                tx, DR, User(name), f"{name}@clinic.example", Holding(roles=frozenset({Role("data_entry")})),
                actor=OLIVE, reuse_existing=False, now=self.clock(),
            )  # fmt: skip
        return invitation.id

    async def cancel(self, invitation: str) -> None:
        async with self.store.transaction(caller="test", actor=OLIVE) as tx:
            await self.invitations.cancel(tx, DR, invitation, actor=OLIVE, now=self.clock())

    async def accept(self, token: str) -> None:
        async with self.store.transaction(caller="test", actor="") as tx:
            await links.accept(tx, SHIPPED_MODEL, token, now=self.clock())

    async def status(self, invitation: str) -> tuple[DeliveryState, str]:
        async with self.store.reading() as look:
            found = await one(look, DR, invitation)
        return found.delivery, found.words

    def sender(self, carrier) -> Sender:
        return Sender(self.store, KEY, carrier, POSTMARK, self.clock)


@pytest.fixture
async def office(store, seed, model):
    await install.install_first(store, seed, SHIPPED_MODEL)
    await manage_users.register_physician(store, DR, OLIVE, "Dr. A", caller="test", actor=OLIVE)
    return Office(store, model)


async def test_a_mail_server_that_is_down_delays_and_loses_nothing(office):
    with MailServer() as server:
        url = server.url
    invitation = await office.invite("nina")
    sender = office.sender(Smtp(url))
    for _ in range(4):
        await sender.send_due()
        state, words = await office.status(invitation)
        assert (state, "could not be reached" in words) == (DeliveryState.DELAYED, True)
        assert await sender.send_due() == 0  # not before its next try
        office.clock.move(hours=2)
    with MailServer() as server:
        await office.sender(Smtp(server.url)).send_due()
        (message,) = server.received
        assert await office.status(invitation) == (DeliveryState.SENT, "taken")
        await office.accept(token_in(message))


async def test_the_pauses_grow_and_are_not_alike(office):
    with MailServer() as server:
        url = server.url
    invitation = await office.invite("nina")
    sender, pauses = office.sender(Smtp(url)), []
    for _ in range(9):
        await sender.send_due()
        async with office.store.reading() as look:
            next_try = (await one(look, DR, invitation)).next_try
        pauses.append((next_try - office.clock()).total_seconds())
        office.clock.now = next_try
    for attempt, pause in enumerate(pauses):
        middle = min(30 * 2**attempt, 3600)
        assert 0.74 * middle <= pause <= 1.26 * middle
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("451 greylisted, try later", DeliveryState.DELAYED),
        ("452 mailbox full", DeliveryState.DELAYED),
        ("550 no such user", DeliveryState.BOUNCED),
        ("554 blocked by policy", DeliveryState.DELAYED),
    ],
)
async def test_the_servers_no_is_kept_in_its_words(office, said, state):
    with MailServer(lambda _: said) as server:
        invitation = await office.invite("nina")
        await office.sender(Smtp(server.url)).send_due()
        assert await office.status(invitation) == (state, said)
        office.clock.move(hours=2)
        server.answer = lambda _: "250 taken"
        await office.sender(Smtp(server.url)).send_due()
    assert len(server.received) == (1 if state is DeliveryState.DELAYED else 0)
    assert advice(state)


async def test_a_refused_recipient_bounces_alone(office):
    with MailServer() as server:

        async def handle_RCPT(_, __, envelope, address, options):
            if address.startswith("bad"):
                return "550 5.1.1 unknown"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        server.handle_RCPT = handle_RCPT
        bad, good = await office.invite("bad"), await office.invite("good")
        await office.sender(Smtp(server.url)).send_due()
        assert (await office.status(bad))[0] is DeliveryState.BOUNCED
        assert (await office.status(good))[0] is DeliveryState.SENT


@asynccontextmanager
async def broken_server(script):
    """Speaks SMTP up to a point, then does as the script says."""

    async def serve(reader, writer):
        try:
            writer.write(b"220 hello\r\n")
            while line := await reader.readline():
                if line.upper().startswith(b"DATA"):
                    writer.write(b"354 go on\r\n")
                    await reader.readline()
                    await script(reader, writer)
                    return
                writer.write(b"250 OK\r\n")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_connection_cut_in_mid_message_delays(office):
    async def cut(_, writer):
        writer.transport.abort()

    invitation = await office.invite("nina")
    async with broken_server(cut) as url:
        await office.sender(Smtp(url)).send_due()
    assert (await office.status(invitation))[0] is DeliveryState.DELAYED


async def test_a_server_that_does_not_answer_delays_in_time(office):
    async def hang(reader, _):
        while await reader.read(65536):
            pass

    invitation = await office.invite("nina")
    # Far from half a second even on a slow machine, and less than what it has where nothing else is said.
    async with broken_server(hang) as url, asyncio.timeout(25):
        await office.sender(Smtp(url, seconds=0.5)).send_due()
    assert (await office.status(invitation))[0] is DeliveryState.DELAYED


async def test_nothing_is_sent_after_cancelling(office):
    with MailServer(lambda _: "451 later") as server:
        invitation = await office.invite("nina")
        sender = office.sender(Smtp(server.url))
        await sender.send_due()
        await office.cancel(invitation)
        server.answer = lambda _: "250 taken"
        office.clock.move(days=1)
        await sender.send_due()
        assert server.received == []
        assert (await office.status(invitation))[0] is DeliveryState.DROPPED
        assert await sender.send_due() == 0


async def test_nothing_is_sent_once_the_time_is_up(office):
    with MailServer() as server:
        await office.invite("nina")
        office.clock.move(days=8)
        await office.sender(Smtp(server.url)).send_due()
        assert server.received == []


async def test_a_sender_killed_between_sending_and_recording_sends_the_same_again(office):
    with MailServer() as server:
        invitation = await office.invite("nina")
        real = Smtp(server.url)

        class Killed:
            async def carry(self, message: EmailMessage) -> str:
                await real.carry(message)
                raise asyncio.CancelledError  # nothing after this runs

        with pytest.raises(asyncio.CancelledError):
            await office.sender(Killed()).send_due()
        assert len(server.received) == 1
        assert (await office.status(invitation))[0] is DeliveryState.QUEUED
        survivor = office.sender(real)
        assert await survivor.send_due() == 0  # still leased
        office.clock.move(minutes=3)
        await survivor.send_due()
        first, second = server.received
        assert first["Message-ID"] == second["Message-ID"]
        assert token_in(first) == token_in(second)
        await office.accept(token_in(second))


async def test_many_senders_send_each_e_mail_once(office):
    with MailServer() as server:
        names = [f"n{number}" for number in range(60)]
        for name in names:
            await office.invite(name)

        async def drain(sender: Sender) -> None:
            while await sender.send_due():
                pass

        await asyncio.gather(*(drain(office.sender(Smtp(server.url))) for _ in range(6)))
        assert sorted(message["X-To"] for message in server.received) == sorted(
            f"{name}@clinic.example" for name in names
        )


async def test_a_sender_with_another_key_leaves_the_e_mail_to_the_others(office):
    with MailServer() as server:
        await office.invite("nina")
        stranger = Sender(office.store, TokenKey(b"x" * 32), Smtp(server.url), POSTMARK, office.clock)
        await stranger.send_due()
        assert server.received == []
        office.clock.move(minutes=1)
        await office.sender(Smtp(server.url)).send_due()
        assert len(server.received) == 1


async def test_in_development_the_e_mail_is_a_file_for_this_user_alone(office, tmp_path):
    await office.invite("nina")
    await office.sender(Folder(tmp_path / "mail")).send_due()
    (path,) = (tmp_path / "mail").glob("*.eml")
    assert path.stat().st_mode & 0o077 == 0
    assert b"#token=" in path.read_bytes()


@pytest.mark.parametrize("words", ["550 a\r\nb\x1b[2Jc", "x" * 5000, "550 ünï\x00"])
def test_the_servers_words_are_cleaned(words):
    cleaned = clean(words)
    assert cleaned.isascii()
    assert cleaned.isprintable()
    assert len(cleaned) <= 300


@pytest.mark.parametrize("url", ["", "mail", "http://x", "smtp://", "smtp://host:port", "ftp://user:secret@host"])
def test_a_wrong_address_of_the_mail_server_stops_the_start_without_its_password(url):
    with pytest.raises(StartError) as refused:
        Smtp(url)
    assert "secret" not in str(refused.value)

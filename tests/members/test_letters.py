"""One letter holds up no other: what cannot be composed, sent or recorded is set aside or tried again, with whose fault."""

import asyncio
import errno
import os
import ssl
from datetime import timedelta

import asyncpg
import pytest
import trustme
from aiosmtpd.controller import Controller

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.members import Holding, Invitations, LetterLimits, Prompts, advice, delivery
from policy_service.members.carriers import Folder, Smtp
from policy_service.members.delivery import ADVICE
from policy_service.members.errors import InvitationClosed, TooManyLetters
from policy_service.members.manage_users import register_physician
from policy_service.store import DeliveryState, StoreUnavailable
from policy_service.store.invitations import one
from policy_service.vocabulary import Physician, Role, User
from tests.members.test_delivery import DR, KEY, OLIVE, office  # noqa: F401 - the fixture.
from tests.support.people import MailServer, token_in
from tests.support.ports import free_port

pytestmark = pytest.mark.over_tls

SENT, FAILED, DELAYED, BOUNCED = (
    DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DELAYED, DeliveryState.BOUNCED
)  # fmt: skip


async def sql(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement, *values)
    await connection.close()


async def found(office, invitation):  # noqa: F811
    async with office.store.reading() as look:
        return await one(look, DR, invitation)


async def resend(office, invitation, email=None):  # noqa: F811
    async with office.store.transaction(caller="test", actor=OLIVE) as tx:
        await office.invitations.resend(tx, DR, invitation, email, actor=OLIVE, now=office.clock())


def counted(state: str) -> float:
    return metrics.registry.get_sample_value("policy_letters_total", {"state": state}) or 0


@pytest.mark.parametrize("address", ["=?utf-8?q?a?=@example.org", "a@b@c", "x\r\nBcc: y@evil.example", "", "ö@ö"])
async def test_a_row_that_cannot_be_written_as_a_letter_is_set_aside_and_resend_puts_it_back(office, database, address):  # noqa: F811
    before = counted("failed")
    bad, good = await office.invite("bad"), await office.invite("good")
    await sql(database, "UPDATE invitations SET email = $2 WHERE id = $1", bad, address)
    with MailServer() as server:
        sender = office.sender(Smtp(server.url))
        assert await sender.send_due() == 2
        assert (await office.status(good))[0] is SENT
        state, words = await office.status(bad)
        assert (state, "address" in words) == (FAILED, True)
        assert counted("failed") == before + 1
        assert (await office.store.mail_not_done(office.clock.now))[FAILED].letters == 1
        assert advice(FAILED) == (ADVICE["failed"],)
        office.clock.move(days=1)
        assert await sender.send_due() == 0  # not by itself
        await resend(office, bad, "mended@clinic.example")
        assert await sender.send_due() == 1
        assert (await office.status(bad))[0] is SENT
        assert [message["X-To"] for message in server.received] == ["good@clinic.example", "mended@clinic.example"]
        await office.accept(token_in(server.received[1]))


async def test_a_poisoned_name_of_before_is_made_harmless_and_the_letter_goes(office, database):  # noqa: F811
    invitation = await office.invite("nina")
    await sql(database, "UPDATE physicians SET display_name = '=?utf-7?q?+2AA-?=' || chr(10) || 'Bcc: x@evil.example'")
    with MailServer() as server:
        await office.sender(Smtp(server.url)).send_due()
        assert (await office.status(invitation))[0] is SENT
        (message,) = server.received
    assert message["Bcc"] is None
    assert message["Subject"] == "= ?utf-7?q?+2AA-? = Bcc: x@ evil. example invites you to their billing account"


async def test_an_unforeseen_fault_of_one_letter_sets_it_aside_without_its_text(office, monkeypatch):  # noqa: F811
    bad, good = await office.invite("bad"), await office.invite("good")
    real = delivery.compose

    def compose(letter, *rest):
        if letter.user == "bad":
            raise KeyError("secret of the letter")
        return real(letter, *rest)

    monkeypatch.setattr(delivery, "compose", compose)
    with MailServer() as server:
        await office.sender(Smtp(server.url)).send_due()
    assert (await office.status(good))[0] is SENT
    assert await office.status(bad) == (FAILED, "an internal fault, KeyError: see the service's log")


@pytest.mark.parametrize("fault", [StoreUnavailable(), KeyError("a value that no column takes")])
async def test_an_outcome_that_cannot_be_recorded_holds_up_no_other(office, monkeypatch, fault):  # noqa: F811
    bad, good = await office.invite("bad"), await office.invite("good")
    real = office.store.record_mail

    async def record_mail(mail, *rest, **more):
        if mail.invitation == bad:
            raise fault
        await real(mail, *rest, **more)

    monkeypatch.setattr(office.store, "record_mail", record_mail)
    with MailServer() as server:
        sender = office.sender(Smtp(server.url))
        await sender.send_due()
        assert ((await office.status(good))[0], (await office.status(bad))[0]) == (SENT, DeliveryState.QUEUED)
        monkeypatch.undo()
        assert await sender.send_due() == 0  # leased
        office.clock.move(minutes=3)
        await sender.send_due()
        assert (await office.status(bad))[0] is SENT


async def test_a_full_disk_delays_and_leaves_no_half_letter(office, tmp_path, monkeypatch):  # noqa: F811
    invitation = await office.invite("nina")
    sender = office.sender(Folder(tmp_path / "mail"))

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    await sender.send_due()
    monkeypatch.undo()
    row = await found(office, invitation)
    assert (row.delivery, row.our_fault, row.words) == (
        DELAYED, True, "the folder for e-mails cannot be written to: No space left on device",
    )  # fmt: skip
    assert list((tmp_path / "mail").iterdir()) == []
    office.clock.move(hours=1)
    await sender.send_due()
    assert (await office.status(invitation))[0] is SENT
    assert [path.suffix for path in (tmp_path / "mail").iterdir()] == [".eml"]


async def test_a_folder_that_cannot_be_made_delays(office, tmp_path):  # noqa: F811
    (tmp_path / "mail").write_text("a file")
    invitation = await office.invite("nina")
    await office.sender(Folder(tmp_path / "mail")).send_due()
    assert (await office.status(invitation))[0] is DELAYED


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("MAIL", "530 5.7.0 authentication required"), ("MAIL", "552 over quota"), ("RCPT", "534 5.7.9 login first"),
        ("RCPT", "554 5.7.1 relay access denied"), ("DATA", "554 5.7.1 rejected by policy"),
    ],
)  # fmt: skip
async def test_a_fault_of_ours_is_not_told_as_the_addresss_and_is_tried_again(office, at, said):  # noqa: F811
    before = metrics.registry.get_sample_value("policy_letters_our_fault_total")
    invitation = await office.invite("nina")
    with MailServer() as server:

        async def refuse(*_):
            return said

        if at == "DATA":
            server.answer = lambda _: said
        else:
            setattr(server, f"handle_{at}", refuse)
        sender = office.sender(Smtp(server.url))
        await sender.send_due()
        row = await found(office, invitation)
        assert (row.delivery, row.our_fault, row.words) == (DELAYED, True, said)
        assert metrics.registry.get_sample_value("policy_letters_our_fault_total") == before + 1
        assert advice(row.delivery, our_fault=row.our_fault) == (ADVICE["ours"],)
        if at == "DATA":
            server.answer = lambda _: "250 taken"
        else:
            delattr(server, f"handle_{at}")
        office.clock.move(hours=2)
        await sender.send_due()
        row = await found(office, invitation)
        assert (row.delivery, row.our_fault) == (SENT, False)


@pytest.mark.parametrize("said", ["550 5.1.1 unknown", "552 5.2.2 mailbox full", "553 no such name"])
async def test_a_fault_of_the_recipients_is_told_as_theirs(office, said):  # noqa: F811
    invitation = await office.invite("nina")
    with MailServer() as server:

        async def refuse(*_):
            return said

        server.handle_RCPT = refuse
        await office.sender(Smtp(server.url)).send_due()
    row = await found(office, invitation)
    assert (row.delivery, row.our_fault) == (BOUNCED, False)
    assert ADVICE["mistyped"] in advice(row.delivery)


async def test_a_mail_server_of_a_private_authority_is_trusted_when_told_so(office, tmp_path):  # noqa: F811
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = MailServer()
    controller = Controller(server, hostname="localhost", port=free_port(), ssl_context=context)
    await asyncio.to_thread(controller.start)
    try:
        invitation = await office.invite("nina")
        url = f"smtps://localhost:{controller.port}"
        await office.sender(Smtp(url)).send_due()
        row = await found(office, invitation)
        assert (row.delivery, row.our_fault) == (DELAYED, True)
        office.clock.move(hours=1)
        await office.sender(Smtp(url, ca_file=tmp_path / "ca.pem")).send_due()
        assert (await office.status(invitation))[0] is SENT
    finally:
        await asyncio.to_thread(controller.stop)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authoritys_file_that_cannot_be_used_stops_the_start(tmp_path, content):
    if content:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(StartError, match="POLICY_SMTP_CA_FILE"):
        Smtp("smtps://localhost:1", ca_file=tmp_path / "ca.pem")


@pytest.fixture
def limited(office, model):  # noqa: F811
    limits = LetterLimits(per_invitation=3, per_address=4, per_account=6, within=timedelta(hours=24))
    office.invitations = Invitations(model, KEY, Prompts(1_000), valid_for=timedelta(days=7), limits=limits)
    return office


async def test_letters_of_one_invitation_are_limited_until_the_first_is_old_enough(limited):
    invitation, first = await limited.invite("nina"), limited.clock()
    for _ in range(2):
        limited.clock.move(hours=1)
        await resend(limited, invitation)
    with pytest.raises(TooManyLetters) as refused:
        await resend(limited, invitation)
    assert (refused.value.of, refused.value.most) == ("invitation", 3)
    assert refused.value.again_at == first + timedelta(hours=24)
    assert refused.value.retry_after() == timedelta(hours=22)
    limited.clock.now = refused.value.again_at - timedelta(seconds=1)
    with pytest.raises(TooManyLetters):
        await resend(limited, invitation)
    limited.clock.now = refused.value.again_at
    await resend(limited, invitation)


async def test_inviting_again_after_cancelling_is_counted_for_the_address_in_every_account(limited):
    other = Physician("dr-b")
    await register_physician(limited.store, other, OLIVE, "", caller="test", actor=OLIVE)

    async def invite(physician: Physician) -> str:
        async with limited.store.transaction(caller="test", actor=OLIVE) as tx:
            invitation = await limited.invitations.invite(
                tx, physician, User("nina"), "Nina@clinic.example", Holding(roles=frozenset({Role("data_entry")})),
                actor=OLIVE, reuse_existing=True, now=limited.clock(),
            )  # fmt: skip
        return invitation.id

    for physician in (DR, other, DR, other):
        invitation = await invite(physician)
        async with limited.store.transaction(caller="test", actor=OLIVE) as tx:
            await limited.invitations.cancel(tx, physician, invitation, actor=OLIVE, now=limited.clock())
    with pytest.raises(TooManyLetters) as refused:
        await invite(DR)
    assert (refused.value.of, refused.value.most) == ("address", 4)


async def test_letters_of_one_account_are_limited(limited):
    for number in range(6):
        await limited.invite(f"n{number}")
    with pytest.raises(TooManyLetters) as refused:
        await limited.invite("n6")
    assert (refused.value.of, refused.value.most) == ("account", 6)


async def test_callers_side_by_side_do_not_all_find_the_last_one_free(limited):
    invitation = await limited.invite("nina")
    outcomes = await asyncio.gather(*(resend(limited, invitation) for _ in range(8)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] * 2 + ["TooManyLetters"] * 6
    assert not any(isinstance(outcome, InvitationClosed) for outcome in outcomes)

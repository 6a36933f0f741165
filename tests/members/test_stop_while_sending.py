"""A service that stops while a letter is on its way ends soon, and sends no letter twice that was taken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage

import pytest

from policy_service.app import open_app
from policy_service.members.carriers import Smtp
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.patience import PATIENCE, patiently
from tests.support.people import Page
from tests.support.rpc import Wire

_ENDS_SOON = 30.0
"""Seconds in which a stop ends also on a busy machine, far from the time that a silent server is given here."""


class HalfServer:
    """Says what a mail server says, up to a word; what it says to that comes when it is let."""

    def __init__(self, silent_at: str) -> None:
        self._silent_at = silent_at
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.letters = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(words: str, to: str) -> None:
            if to == self._silent_at:
                self.reached.set()
                await self.go_on.wait()
            writer.write(f"{words}\r\n".encode())

        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await say("220 here", "greeting")
            while line := (await reader.readline()).decode().strip():
                match line.split()[0].upper():
                    case "DATA":
                        await say("354 go on", "DATA")
                        await reader.readuntil(b"\r\n.\r\n")
                        self.letters += 1
                        await say("250 taken", "letter")
                    case "QUIT":
                        await say("221 bye", "QUIT")
                    case word:
                        await say("250 yes", word)
        writer.close()


@contextlib.asynccontextmanager
async def half_server(silent_at: str) -> AsyncIterator[tuple[HalfServer, str]]:
    said = HalfServer(silent_at)
    server = await asyncio.start_server(said.talk, "127.0.0.1", 0)
    try:
        yield said, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        said.go_on.set()
        server.close()


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "no-reply@billing.example", "nina@clinic.example"
    message.set_content("Hello")
    return message


@pytest.mark.parametrize("silent_at", ["EHLO", "MAIL", "RCPT", "DATA", "letter"])
async def test_a_letter_that_is_interrupted_anywhere_ends_at_once(silent_at):
    async with half_server(silent_at) as (said, url):
        carrying = asyncio.create_task(Smtp(url, seconds=PATIENCE).carry(letter()))
        async with patiently():
            await said.reached.wait()
        carrying.cancel()
        done, _ = await asyncio.wait([carrying], timeout=_ENDS_SOON)
        assert done, "it waits for an answer to a QUIT that is taken for a line of the letter"
        assert carrying.cancelled()


async def test_a_letter_that_was_taken_is_sent_whatever_is_said_to_quit():
    async with half_server("QUIT") as (said, url):
        assert await Smtp(url, seconds=0.5).carry(letter()) == "taken"
        assert said.letters == 1


async def stopping_while(silent_at: str, store, database, seed, tmp_path, meanwhile: Callable[[HalfServer], None]):
    """The outbox's states after a stop while a server was silent at a word."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with half_server(silent_at) as (said, url):
        opened = contextlib.AsyncExitStack()
        app = await opened.enter_async_context(open_app(settings_for(database, smtp_url=url, data_dir=tmp_path)))
        async with Wire(app.planes.management_port) as wire:
            page = Page(wire, "olive", "dr-a")
            await page.register()
            await page.invite("nina", "data_entry")
        async with patiently():
            await said.reached.wait()
        meanwhile(said)
        async with asyncio.timeout(_ENDS_SOON):
            await opened.aclose()
        return [row["state"] for row in await store._pool.fetch("SELECT state FROM outbox")], said.letters


async def test_a_stop_waits_a_moment_for_a_letter_that_is_being_taken(store, database, seed, tmp_path):
    def soon(said: HalfServer) -> None:
        # When the stop is under way: it must not be what the letter's end comes before.
        asyncio.get_running_loop().call_later(0.2, said.go_on.set)

    assert await stopping_while("letter", store, database, seed, tmp_path, soon) == (["sent"], 1)


async def test_a_stop_does_not_wait_for_a_server_that_went_silent(store, database, seed, tmp_path, monkeypatch):
    monkeypatch.setattr("policy_service.members.delivery._STOP_SECONDS", 0.1)
    monkeypatch.setattr("policy_service.members.carriers._SMTP_SECONDS", PATIENCE)
    states, _ = await stopping_while("DATA", store, database, seed, tmp_path, lambda _: None)
    # It is tried again when its lease ends.
    assert states == ["queued"]

"""A letter says what it should and nothing else, whatever is stored; its link can be read and copied from the file."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.errors import InvalidRequest
from policy_service.members import Postmark, parse_email
from policy_service.members.letters import Unsendable, compose
from policy_service.store import Letter
from policy_service.vocabulary import Physician, User
from tests.vocabulary.test_plain_text import NASTY, PEOPLE

POSTMARK = Postmark(sender="Billing <no-reply@billing.example>", link_base="https://billing.example/accept-invitation")
TOKEN = "tOkEn_" + "x" * 37
LINK = f"{POSTMARK.link_base}#token={TOKEN}"
MESSAGE_ID = "<inv-1.1@policy-service.invalid>"
HEADERS = {"From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}


def letter(**fields):
    sound = {
        "physician": Physician("dr-osei"),
        "title": "Dr. Zoe Ný",
        "user": User("nina"),
        "email": "nina@clinic.org",
        "roles": ("data_entry",),
        "actions": (),
        "expires_at": datetime(2026, 3, 1, tzinfo=UTC),
        "token_hash": b"",
        "is_active": False,
    }
    return Letter(**(sound | fields))


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links, self.texts = [], []

    def handle_starttag(self, _, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src", "action")]

    def handle_data(self, data):
        self.texts.append(data)


nasty = st.one_of(
    st.sampled_from((*NASTY, *PEOPLE)), st.text(max_size=200), st.lists(st.sampled_from(NASTY)).map("".join)
)


@settings(max_examples=40, deadline=None)
@given(
    title=nasty, user=nasty, roles=st.lists(nasty, min_size=1, max_size=3).map(tuple),
    actions=st.lists(nasty, max_size=2).map(tuple), is_active=st.booleans(),
    email=st.one_of(st.just("nina@clinic.org"), nasty, nasty.map(lambda text: f"{text}@clinic.org")),
)  # fmt: skip
def test_whatever_is_stored_the_letter_has_its_headers_one_link_and_no_other(**stored):
    composed = compose(letter(**stored), TOKEN, MESSAGE_ID, POSTMARK)
    try:
        address = parse_email(stored["email"])
    except InvalidRequest:
        assert isinstance(composed, Unsendable)
        return
    content = composed.as_bytes()
    read = message_from_bytes(content, policy=policy.default)
    assert sorted(read.keys()) == sorted(HEADERS)
    assert [found.addr_spec for found in read["To"].addresses] == [address]
    assert [found.addr_spec for found in read["From"].addresses] == ["no-reply@billing.example"]
    assert read["Subject"].endswith(" invites you to their billing account")
    assert "\n" not in read["Subject"]
    text, html = (read.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert [part.get_content_type() for part in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    page = Links()
    page.feed(html)
    assert page.links == [LINK]
    for shown in (text, " ".join(page.texts)):
        assert shown.count(LINK) == 1
        rest = shown.replace(LINK, "")
        assert not re.search(r"://|www\.\S|=\?", rest)
    assert text.startswith("Hello,\r\n\r\n")
    assert text.count("Please do not pass this e-mail on.") == 1


@pytest.mark.parametrize("title", ["Dr. Osei", "Dr. Zoe Ný", "李医生"])
def test_the_link_stands_whole_on_a_line_of_the_file_in_text_and_html(title):
    content = compose(letter(title=title), TOKEN, MESSAGE_ID, POSTMARK).as_bytes().decode()
    lines = [line.strip() for line in content.splitlines()]
    assert lines.count(LINK) == 2
    assert "quoted-printable" not in content
    assert "base64" not in content.partition("\n\n")[2]
    assert all(len(line.encode()) <= 998 for line in content.splitlines())


def test_a_line_too_long_for_mail_is_encoded_instead_of_broken():
    far = Postmark(sender=POSTMARK.sender, link_base="https://billing.example/" + "x" * 1000)
    read = message_from_bytes(compose(letter(), TOKEN, MESSAGE_ID, far).as_bytes(), policy=policy.default)
    assert f"{far.link_base}#token={TOKEN}" in read.get_body(("plain",)).get_content()


def test_a_role_that_operators_added_is_not_told_as_the_accounts_own():
    def said(role: str) -> str:
        made = letter(roles=(role,), built_in=frozenset({"data_entry", "auditor"}))
        return compose(made, TOKEN, MESSAGE_ID, POSTMARK).get_body(("plain",)).get_content()

    assert '- do what the role "auditor" allows\n' in said("auditor")
    assert '- do what the role "reception" allows, as Dr. Zoe Ný has set it\n' in said("reception")


def test_a_username_is_shown_as_it_must_be_typed():
    made = compose(letter(user=User("nina@clinic.example")), TOKEN, MESSAGE_ID, POSTMARK)
    assert "as nina@clinic.example." in made.get_body(("plain",)).get_content()


def test_a_message_id_that_would_be_another_header_is_not_written():
    assert isinstance(compose(letter(), TOKEN, "<a@b>\r\nBcc: x@evil.example", POSTMARK), Unsendable)

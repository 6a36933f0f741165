"""Lines for people: what may stand in one, and what is made of what may not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.errors import InvalidRequest
from policy_service.members import parse_email
from policy_service.rpc.fields import parse_title
from policy_service.vocabulary import harmless, line_fault, name_fault

PEOPLE = (
    "Dr. A. Osei", "St. Mary's Clinic Inc.", "Dr. Ama Osei, B.Sc., M.D., Ph.D.", "Dr. Zoe Ný", "O'Brien & Sons",
    "Family Health Team / Équipe", "24/7 Clinic", "Dr. J.R. Smith", "Dr. Lee (M.B., Ch.B.)", "Ama Osei: Cardiology",
    "د. أحمد", "李医生", "Dr. Nguyễn Thị Hồng", "Clinic @ Main St.", "",
)  # fmt: skip
NASTY = (
    "=?utf-7?q?+2AA-?=", "=?utf-8?q?a=0D=0ABcc:_x?=", "a\r\nBcc: x@evil.example", "a\x1b[2Jb", "a\u202eb", "a\u2066b",
    "a\u200bb", "a\u00adb", "a\u034fb", "\u3164", "a\u2028b", "\ud800", "http://evil.example", "HTTPS:/evil",
    "www.evil.example", "WWW.x", "evil.com", "Dr. Osei evil.com/x", "(clinic.ca)", "t.co/x", "goo.gl",
    "ama@clinic.example", "evil。com", "ｅｖｉｌ．ｃｏｍ", "mailto:x", "evil.xn--p1ai",
)  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE)
def test_peoples_and_clinics_names_stay_as_they_are(name):
    assert line_fault(name) is None
    assert harmless(name, instead="") == name
    assert parse_title(name, field="display_name", most=128) == name


@pytest.mark.parametrize("name", NASTY)
def test_what_programs_take_for_something_else_is_refused_by_its_field(name):
    with pytest.raises(InvalidRequest) as refused:
        parse_title(name, field="display_name", most=128)
    assert refused.value.violations[0].field == "display_name"


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                (*NASTY, *PEOPLE, "=?", "?=", ".", "com", "www", "://", "/", "@", ":", " ", "㏂", "⒈", "℀")
            ),
            st.text(max_size=3),
        ),
        max_size=8,
    ).map("".join)
)
def test_whatever_is_made_harmless_is_one_line_that_would_be_taken(text):
    made = harmless(text, most=60)
    assert line_fault(made) is None
    assert 0 < len(made) <= 60


@pytest.mark.parametrize("name", ["nina@clinic.example", "amy.ng", "j.li", "dr-osei", "a.b.c"])
def test_a_username_that_a_person_may_have_is_taken(name):
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["www.evil.example", "evil.com", "my-clinic.info", "WWW.x"])
def test_a_username_that_is_a_place_on_the_web_is_not(name):
    assert name_fault(name)


@pytest.mark.parametrize(
    "address", ["=?utf-8?q?a?=@clinic.org", "a?=b@clinic.org", "www.evil@clinic.org", "a//b@clinic.org"]
)
def test_an_address_that_mail_programs_read_otherwise_is_refused(address):
    with pytest.raises(InvalidRequest) as refused:
        parse_email(address)
    assert refused.value.violations[0].field == "email"

"""The access review as a page: what it says, in which elements, and that nothing given to it becomes markup."""

import dataclasses
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from policy_client.answers import Reason
from policy_client.reviews import AccessReview, Change

from tests.support.markup import Element, Tree
from tests.support.reviews import access, change, crowd, held, invitation, mia, osei, page, review, role

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&amp;{{ 7*7 }}</style></title>\u202e"


def read(told: tuple[AccessReview, list[Change]]) -> Element:
    return Tree(page(told)).root


def cells(root: Element, name: str) -> list[Element]:
    """The cells of somebody's row in the matrix."""
    for row in root.one("table", **{"class": "matrix"}).one("tbody").all("tr"):
        if row.one("th").all("span", **{"class": "name"})[0].text == name:
            return [span for span in row.all("span") if span.attributes.get("role") == "img"]
    raise AssertionError(name)


def test_the_head_says_whose_review_it_is_and_when_it_held():
    root = read(osei())
    assert root.one("html").attributes["lang"] == "en"
    assert root.one("h1").text == "Dr. Ama Osei dr-osei"
    lead = root.one("p", **{"class": "lead"}).text
    assert lead == "Who could do what in this account as of 2026-11-20 13:18 UTC (revision 31)"
    assert root.one("head").one("title").text == "Access review of dr-osei, revision 31"


def test_the_numbers_count_people():
    numbers = {div.one("dt").text: div.one("dd").text for div in read(osei()).one("header").one("dl").all("div")}
    assert numbers == {
        "people with access": "8",
        "can see patients’ names in reports": "3",
        "can delete claims": "4",
        "can pay invoices": "3",
        "can invite users": "1",
        "can use the mobile app": "1",
        "invitations pending": "2",
        "changes in the period": "13",
    }


def test_every_person_has_every_action_with_the_role_that_decides():
    root = read(osei())
    assert [cell.text for cell in cells(root, "mia")] == ["D"] * 4 + ["–"] * 9
    assert {cell.text for cell in cells(root, "ama")} == {"Om"}
    assert cells(root, "ama")[0].attributes["title"] == "shown through owner, also in the mobile app"
    assert cells(root, "mia")[0].attributes["title"] == "shown through data_entry"
    assert cells(root, "mia")[12].attributes["title"] == "hidden: not granted"
    assert cells(root, "leo")[0].attributes["title"] == "shown through front-desk"
    assert cells(root, "tomas.weber@partner-billing.example")[4].attributes["title"] == "shown through own selection"


def test_what_a_rule_denies_is_told_from_what_was_never_given():
    denied = cells(read(osei()), "vera")[5]
    assert (denied.text, denied.attributes["title"]) == ("✗2", "hidden: denied by rule through outside-auditor")
    assert denied.attributes["class"] == "cell denied"


def test_the_legend_explains_each_letter_once():
    items = [item.text for item in read(osei()).one("ul", **{"class": "legend"}).all("li")]
    assert items[:7] == [
        "O owner built in: the physician",
        "A administrator built in",
        "D data_entry built in",
        "F financial_viewer built in",
        "S own selection actions ticked for this one person",
        "1 front-desk of this account",
        "2 outside-auditor of this account",
    ]


def test_the_matrix_is_a_table_that_can_be_read_aloud():
    root = read(osei())
    for table in root.all("table"):
        assert table.one("caption").text
        assert all("scope" in heading.attributes for heading in table.all("th"))
    matrix = root.one("table", **{"class": "matrix"})
    assert [th.text for th in matrix.all("th", scope="colgroup")] == ["Claims", "Reports", "Invoices", "Users", "App"]
    widths = {
        sum(int(cell.attributes.get("colspan", 1)) for cell in row.all("th") + row.all("td"))
        for row in [*matrix.one("tbody").all("tr"), *matrix.one("tfoot").all("tr")]
    }
    assert widths == {15}
    levels = [int(found.tag[1]) for found in root.all("*") if re.fullmatch("h[1-6]", found.tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    names = [found.attributes["id"] for found in root.all("*") if "id" in found.attributes]
    assert len(names) == len(set(names))
    for found in root.all("*"):
        assert set(found.attributes.get("aria-labelledby", "").split()) <= set(names)


def test_each_role_is_told_with_since_when_by_whom_and_how():
    rows = [[cell.text for cell in row.all("th") + row.all("td")] for row in read(osei()).section("since").all("tr")]
    assert ["nina", "data_entry", "2026-09-22 10:54 UTC", "nina", "invitation accepted", "12"] in rows
    assert ["night-shift", "2026-11-18 08:30 UTC", "ama", "permissions edited", "29"] in rows


def test_custom_roles_are_spelled_out():
    cards = {card.one("h3").text: card for card in read(osei()).section("roles").all("article")}
    auditor = cards["outside-auditor"]
    assert dict(zip((d.text for d in auditor.all("dt")), (d.text for d in auditor.all("dd")), strict=True)) == {
        "may": "nothing of its own",
        "may never": "report:patient_details, invoice:pay",
        "includes": "financial_viewer",
        "in the end": "claim:view, report:generate, invoice:view",
        "held by": "vera",
    }
    assert "own selection of tomas.weber@partner-billing.example" in cards


def test_nobody_is_shown_a_role_named_custom_dot_username():
    assert "custom." not in page(osei())


def test_pending_invitations_say_that_they_grant_nothing():
    pending = read(osei()).section("pending")
    assert "grants nothing until it is accepted" in pending.one("caption").text
    omar, lucia = pending.one("tbody").all("tr")
    assert [cell.text for cell in omar.all("td")] == [
        "omar@clinic.example", "data_entry", "ama", "2026-11-20 10:54 UTC", "2026-11-27 10:54 UTC",
    ]  # fmt: skip
    assert lucia.all("td")[1].text == "own selection: claim:view, report:generate"


def test_the_review_of_a_person_has_a_row_for_each_account():
    root = read(mia())
    assert root.one("h1").text == "mia"
    assert [cell.text for cell in cells(root, "dr-silver")][:6] == ["F", "–", "–", "–", "F", "F"]
    assert [cell.text for cell in cells(root, "dr-tran")][:4] == ["D"] * 4
    (pending,) = root.all("section", **{"aria-labelledby": "pending"})
    assert "dr-young" in pending.text


def test_roles_of_one_name_in_two_accounts_are_two_roles():
    clerks = tuple(
        access("mia", held("clerk"), physician=name, allowed=["claim:view"]) for name in ("dr-osei", "dr-tran")
    )
    root = read((review(physician="", user="mia", access=clerks), []))
    assert cells(root, "dr-osei")[0].text == "1"
    assert cells(root, "dr-tran")[0].text == "2"
    items = [item.text for item in root.one("ul", **{"class": "legend"}).all("li")]
    assert items[:2] == ["1 clerk of dr-osei", "2 clerk of dr-tran"]


def test_what_is_empty_is_said():
    text = read((review(checkpoint="", hash=""), [])).one("main").text
    for words in (
        "Nobody had access to this account.",
        "Nobody held a role.",
        "This account had no custom roles.",
        "No invitation was open.",
        "Nothing changed in this period.",
        "none came with this review",
    ):
        assert words in text
    assert "This person had access to no account." in read((review(physician="", user="mia"), [])).one("main").text


def test_it_says_what_it_rests_on_and_how_to_verify_it():
    found, _ = osei()
    rests = read(osei()).section("rests")
    codes = [code.text for code in rests.all("code")]
    assert codes == [found.hash, found.checkpoint, "policy-service audit verify --against FILE"]
    assert "2026-11-23 09:00 UTC" in rests.text


def test_nothing_runs_and_nothing_is_fetched():
    root = read(osei())
    tags = {found.tag for found in root.all("*")}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}
    attributes = {name for found in root.all("*") for name in found.attributes}
    assert not attributes & {"src", "href", "srcset", "style", "action", "xlink:href"}
    assert not any(name.startswith("on") for name in attributes)
    (policy,) = [m.attributes["content"] for m in root.all("meta") if "http-equiv" in m.attributes]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    css = root.one("style").text
    assert "url(" not in css
    assert "@import" not in css


def hostile() -> tuple[AccessReview, list[Change]]:
    """Markup wherever a text can stand."""
    bad = HOSTILE
    person = access(
        bad, dataclasses.replace(held(bad), granted_by=bad, kind=bad), physician=bad, allowed=["claim:view"]
    )
    odd = dataclasses.replace(person.actions[0], action=f"{bad}:{bad}")
    return review(
        physician=bad,
        display_name=bad,
        hash=bad,
        checkpoint=bad,
        access=(dataclasses.replace(person, actions=(*person.actions, odd)),),
        custom_roles=(role(bad, allow=(bad,), deny=(bad,), includes=(bad,), allowed=(bad,), holders=(bad,)),),
        pending=(
            invitation(bad, email=bad, roles=(bad,), invited_by=bad),
            invitation(bad, email=bad, actions=(bad,), invited_by=bad),
        ),
    ), [
        change(
            3, 1, bad, actor=bad, caller=bad, reason=bad, physician=bad,
            before=[("g", f"user:{bad}", f"role:{bad}", f"physician:{bad}")],
            after=[("p", f"role:{bad}", f"physician:{bad}", bad, "deny")],
            **{bad: bad, "user": bad, "roles": [bad], "nested": {bad: [bad]}},
        )
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["physician", "user"])
def test_no_text_becomes_markup(form):
    found, changes = hostile()
    if form == "user":
        found = dataclasses.replace(found, physician="", user=HOSTILE)
    root = read((found, changes))
    calm = read((replaced(found), replaced(changes)))
    assert [shape(element) for element in root.all("*")] == [shape(element) for element in calm.all("*")]
    assert root.one("h1").one("bdi").text == HOSTILE


def shape(element: Element) -> tuple[str, tuple[str, ...]]:
    return element.tag, tuple(element.attributes)


def replaced(value: Any) -> Any:
    """The same with a harmless text in place of the hostile one, all the way down."""
    if isinstance(value, str):
        return value.replace(HOSTILE, "calm")
    if isinstance(value, tuple | list):
        return type(value)(replaced(part) for part in value)
    if isinstance(value, dict):
        return {replaced(key): replaced(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: replaced(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return type(value)(**fields)
    return value


def test_the_same_review_makes_the_same_page():
    found, changes = osei()
    assert page(osei()) == page((found, list(reversed(changes))))
    program = (
        "import hashlib; from tests.support.reviews import *; print(hashlib.sha256(page(osei()).encode()).hexdigest())"
    )
    # Sets come in another order in another process.
    pages = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(pages) == 1


def test_three_hundred_members_each_have_their_row():
    root = read(crowd(300))
    rows = root.one("table", **{"class": "matrix"}).one("tbody").all("tr")
    assert len(rows) == 300
    assert sum(len(row.all("td")) for row in rows) == 300 * 14
    assert len(page(crowd(300))) < 1_500_000


def test_an_action_and_a_reason_that_are_new_are_shown_all_the_same():
    person = access("mia", held("data_entry"))
    new = dataclasses.replace(
        person.actions[0], action="ledger:close_books", shown=False, reason=Reason.OTHER, role=None
    )
    other = access("noah", held("financial_viewer"))
    root = read((review(access=(dataclasses.replace(person, actions=(*person.actions, new)), other)), []))
    assert [th.text for th in root.all("th", scope="colgroup")][-1] == "ledger"
    assert cells(root, "mia")[13].attributes["title"] == "hidden: other"
    assert cells(root, "noah")[13].attributes["title"] == "not in this review"


def test_times_are_told_in_utc():
    toronto = timezone(timedelta(hours=-5))
    at = datetime(2026, 11, 20, 23, 30, tzinfo=toronto)
    root = read((review(at=at), []))
    assert "2026-11-21 04:30 UTC" in root.one("p", **{"class": "lead"}).text


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_text_stands_out_from_its_ground_in_light_and_dark():
    css = re.search(r"<style>(.*?)</style>", page(osei()), re.S)
    assert css
    light, dark = re.findall(r":root \{([^}]*--page[^}]*)\}", css[1])
    tones = [(tone, f"{tone}-ink") for tone in ("owner", "administrator", "data", "finance", "own", "custom")]
    inks = ("ink", "quiet", "accent", "denied-ink", "began", "ended")
    pairs = [*tones, *(("page", ink) for ink in inks), ("soft", "ink"), ("soft", "quiet")]
    for theme in (light, dark):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", theme))
        for ground, ink in pairs:
            low, high = sorted((luminance(colours[ground]), luminance(colours[ink])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ground, ink)  # WCAG 2.2, 1.4.3, level AA.

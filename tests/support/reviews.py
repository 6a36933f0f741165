"""The demo clinic's reviews as values, and pictures of their reports: ``python -m tests.support.reviews FOLDER``.

What each person may is worked out here from policies/demo.csv by hand, so that the
pictures need no running service.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from policy_client.answers import Reason
from policy_client.reviews import (
    AccessReview,
    Change,
    HeldRole,
    PolicyRow,
    ReviewedAccess,
    ReviewedAction,
    ReviewedInvitation,
    ReviewedRole,
)
from policy_client.testing.seed import SHIPPED

from policy_service.cli.report import render
from tests.support.actions import OWNER_ONLY, Action
from tests.support.chromium import Chromium

ACTIONS = [str(action) for action in Action]
BUILT_IN = {
    "owner": set(ACTIONS),
    "administrator": set(ACTIONS) - OWNER_ONLY,
    "data_entry": {action for action in ACTIONS if action.startswith("claim:")},
    "financial_viewer": {
        "claim:view", "report:generate", "report:patient_details", "invoice:view", "invoice:pay",
    },
}  # fmt: skip
START = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
MADE_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HEIGHT = 1740
HASH = "9f2c4e7a1b8d3056e4a97c21d0f8b36a5e7c9d14208b6f3ea1d57c40928e6bf3"
CHECKPOINT = json.dumps(
    {
        "at": "2026-11-20T15:00:00.000000Z",
        "hash": HASH,
        "key": "5a" * 32,
        "log": "0d4e8f3a6b7c19250d4e8f3a6b7c1925",
        "revision": 31,
        "signature": "c3d1" * 32,
    }
)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def held(role: str, revision: int = 2, at: float = 0, by: str = "demo", kind: str = "demo.load") -> HeldRole:
    return HeldRole(role=role, since_revision=revision, since=day(at), granted_by=by, kind=kind)


def access(
    user: str,
    *roles: HeldRole,
    physician: str = "dr-osei",
    allowed: Iterable[str] | None = None,
    denied: Iterable[str] = (),
) -> ReviewedAccess:
    """One person; what the first role allows, unless ``allowed`` says otherwise, but for what it denies."""
    role = roles[0].role if roles else None
    may = set(BUILT_IN.get(role or "", ()) if allowed is None else allowed) - set(denied)
    return ReviewedAccess(
        user=user,
        physician=physician,
        roles=roles,
        actions=tuple(
            ReviewedAction(
                action=action,
                shown=action in may,
                reason=Reason.GRANTED
                if action in may
                else Reason.DENIED_BY_RULE
                if action in denied
                else Reason.NOT_GRANTED,
                role=role if action in may or action in denied else None,
                mobile=action in may and "app:mobile" in may,
            )
            for action in ACTIONS
        ),
    )


def change(
    revision: int,
    at: float,
    kind: str,
    *,
    actor: str = "ama",
    caller: str = "manage-users-page",
    reason: str = "",
    physician: str = "dr-osei",
    before: Sequence[PolicyRow] = (),
    after: Sequence[PolicyRow] = (),
    **detail: object,
) -> Change:
    return Change(
        revision=revision,
        at=day(at),
        caller=caller,
        actor=actor,
        reason=reason,
        kind=kind,
        physician=physician,
        before=tuple(before),
        after=tuple(after),
        detail=detail,
        mark="0d",
        previous_hash="0" * 64,
        hash="1" * 64,
    )


def review(**fields: Any) -> AccessReview:
    given = {
        "physician": "dr-osei",
        "user": "",
        "display_name": "",
        "revision": 31,
        "at": day(80.2),
        "hash": HASH,
        "checkpoint": CHECKPOINT,
        "access": (),
        "custom_roles": (),
        "pending": (),
        "catalogue": tuple(told.info for told in SHIPPED.told),
    }
    return AccessReview(**(given | fields))


FRONT_DESK = ("claim:view", "claim:save", "claim:submit", "user:list")


def osei() -> tuple[AccessReview, list[Change]]:
    """Dr. Osei's account after some busy weeks."""
    domain = "physician:dr-osei"
    found = review(
        display_name="Dr. Ama Osei",
        access=(
            access("ama", held("owner")),
            access("leo", held("front-desk"), allowed=FRONT_DESK),
            access("mia", held("data_entry"), held("night-shift", 29, 78, "ama", "permissions.update")),
            access("nina", held("data_entry", 12, 21.1, "nina", "invitation.accept")),
            access("noah", held("financial_viewer")),
            access("priya", held("administrator")),
            access(
                "tomas.weber@partner-billing.example",
                held("custom.tomas.weber@partner-billing.example", 24, 63, "ama", "permissions.update"),
                allowed=("claim:view", "report:generate"),
            ),
            access(
                "vera",
                held("outside-auditor", 19, 49.2, "vera", "invitation.accept"),
                allowed=BUILT_IN["financial_viewer"],
                denied=("report:patient_details", "invoice:pay"),
            ),
        ),
        custom_roles=(
            role("front-desk", allow=FRONT_DESK, allowed=FRONT_DESK, holders=("leo",)),
            role("night-shift", allow=("claim:view",), allowed=("claim:view",), holders=("mia",)),
            role(
                "outside-auditor",
                deny=("report:patient_details", "invoice:pay"),
                includes=("financial_viewer",),
                allowed=("claim:view", "report:generate", "invoice:view"),
                holders=("vera",),
            ),
            role(
                "custom.tomas.weber@partner-billing.example",
                allow=("claim:view", "report:generate"),
                allowed=("claim:view", "report:generate"),
                holders=("tomas.weber@partner-billing.example",),
            ),
        ),
        pending=(
            invitation("omar", roles=("data_entry",)),
            invitation("lucia", actions=("claim:view", "report:generate")),
        ),
    )
    tomas = "tomas.weber@partner-billing.example"
    desk = ("p", "role:front-desk", domain, "claim:delete", "allow")
    auditor = "role:outside-auditor"
    changes = [
        change(
            9, 17, "seed.apply", actor="kim", caller="ops", physician="", reason="TICKET-482: administrators see lists",
            after=[("p", "role:administrator", "*", "user:list", "allow")],
        ),
        change(11, 20, "invite", user="nina", roles=["data_entry"], actions=[], invitation="inv-1"),
        change(
            12, 21.1, "invitation.accept", actor="nina", invited_by="ama",
            after=[("g", "user:nina", "role:data_entry", domain)],
        ),
        change(14, 34, "role.update", before=[desk], reason="front desk must not delete claims"),
        change(
            16, 48, "role.create", reason="year-end audit",
            after=[
                ("g", auditor, "role:financial_viewer", domain),
                ("p", auditor, domain, "invoice:pay", "deny"),
                ("p", auditor, domain, "report:patient_details", "deny"),
            ],
        ),
        change(17, 48.01, "invite", user="vera", roles=["outside-auditor"], actions=[], invitation="inv-2"),
        change(
            19, 49.2, "invitation.accept", actor="vera", invited_by="ama",
            after=[("g", "user:vera", auditor, domain)],
        ),
        change(
            24, 63, "permissions.update", reason="only reports and claims, for the move of the books",
            before=[("g", f"user:{tomas}", "role:financial_viewer", domain)],
            after=[
                ("g", f"user:{tomas}", f"role:custom.{tomas}", domain),
                ("p", f"role:custom.{tomas}", domain, "claim:view", "allow"),
                ("p", f"role:custom.{tomas}", domain, "report:generate", "allow"),
            ],
        ),
        change(
            27, 70, "access.revoke", user="jonas", reason="left the clinic",
            before=[("g", "user:jonas", "role:data_entry", domain)],
        ),
        change(28, 78, "role.create", after=[("p", "role:night-shift", domain, "claim:view", "allow")]),
        change(
            29, 78.01, "permissions.update", after=[("g", "user:mia", "role:night-shift", domain)],
            reason="covers nights in December",
        ),
        change(30, 80.1, "invite", user="omar", roles=["data_entry"], actions=[], invitation="inv-3"),
        change(
            31, 80.2, "invite", user="lucia", roles=[], actions=["claim:view", "report:generate"], invitation="inv-4",
        ),
    ]  # fmt: skip
    return found, changes


def mia() -> tuple[AccessReview, list[Change]]:
    """Mia in the three accounts that she works for."""
    found = review(
        physician="",
        user="mia",
        access=(
            access("mia", held("data_entry")),
            access("mia", held("financial_viewer"), physician="dr-silver"),
            access("mia", held("data_entry"), physician="dr-tran"),
        ),
        pending=(invitation("mia", physician="dr-young", roles=("administrator",)),),
    )
    after = [
        ("g", "user:mia", "role:data_entry", "physician:dr-osei"),
        ("g", "user:mia", "role:financial_viewer", "physician:dr-silver"),
        ("g", "user:mia", "role:data_entry", "physician:dr-tran"),
        ("g", "user:noah", "role:financial_viewer", "physician:dr-tran"),
    ]
    return found, [
        change(2, 0, "demo.load", actor="demo", caller="local", physician="", after=after, reason="demo accounts")
    ]


def crowd(count: int) -> tuple[AccessReview, list[Change]]:
    """An account with many people, some with the longest names there are."""
    roles = ["data_entry", "financial_viewer", "administrator"]
    people = [
        access(f"user-{number:03}" + ("-" + "x" * 55 if number % 20 == 7 else ""), held(roles[number % 3]))
        for number in range(count - 1)
    ]
    found = review(display_name="Lakeshore Group Practice", access=(access("ama", held("owner")), *people))
    changes = [
        change(
            2 + number,
            number * 0.9,
            "grant",
            after=[("g", f"user:user-{number:03}", "role:data_entry", "physician:dr-osei")],
        )
        for number in range(29)
    ]
    return found, changes


def longest() -> tuple[AccessReview, list[Change]]:
    """Every text as long as it can be, without a place to break it."""
    user, name, account, mail = "u" * 64, "r" * 64, "p" * 64, f"{'m' * 64}@{'d' * 60}.example"
    domain = f"physician:{account}"
    found = review(
        physician=account,
        display_name="D" * 200,
        access=(access(user, held(name, by="b" * 64, kind="k" * 40), physician=account, allowed=FRONT_DESK),),
        custom_roles=(
            role(name, allow=ACTIONS, deny=ACTIONS, includes=[name, "s" * 64], allowed=ACTIONS, holders=[user] * 3),
        ),
        pending=(invitation(user, email=mail, roles=(name, name), invited_by="b" * 64),),
    )
    row = ("g", f"user:{user}", f"role:{name}", domain)
    rule = ("p", f"role:{name}", domain, "claim:view", "deny")
    return found, [
        change(
            3,
            1,
            "k" * 40,
            actor=user,
            caller="c" * 64,
            reason="w" * 500,
            before=[row],
            after=[row, rule],
            note="n" * 500,
        )
    ]


def role(name: str, **fields: Any) -> ReviewedRole:
    given: dict[str, Any] = {"allow": (), "deny": (), "includes": (), "allowed": (), "holders": ()}
    return ReviewedRole(role=name, **(given | fields))


def invitation(user: str, **fields: Any) -> ReviewedInvitation:
    given: dict[str, Any] = {
        "id": f"inv-{user}",
        "physician": "dr-osei",
        "username": user,
        "email": f"{user}@clinic.example",
        "roles": (),
        "actions": (),
        "invited_by": "ama",
        "invited_at": day(80.1),
        "expires_at": day(87.1),
    }
    return ReviewedInvitation(**(given | fields))


def page(told: tuple[AccessReview, list[Change]], *, since: datetime | None = None) -> str:
    return render(*told, since=since, made_at=MADE_AT)


def main(folder: Path) -> None:
    """Write the pictures in the documentation, and others to look at into FOLDER/looks if it is there."""
    quarter = page(osei(), since=day(10))
    with Chromium() as chromium:
        chromium.screenshot(quarter, folder / "access-review.png", 1280, HEIGHT)
        chromium.screenshot(quarter, folder / "access-review-dark.png", 1280, HEIGHT, dark=True)
        looks = folder / "looks"
        if looks.is_dir():
            height = chromium.measure(quarter, 1280).height
            chromium.screenshot(quarter, looks / "whole.png", 1280, height)
            chromium.screenshot(quarter, looks / "narrow.png", 500, 2600)
            chromium.screenshot(page(mia()), looks / "mia.png", 1280, 1500)
            chromium.screenshot(page(crowd(60)), looks / "crowd.png", 1280, 2400)
            chromium.screenshot(page(longest()), looks / "longest.png", 1280, 2200)
            chromium.print_to_pdf(page(longest()), looks / "longest.pdf")
            chromium.screenshot(page((review(), [])), looks / "empty.png", 1280, 1500)
            chromium.print_to_pdf(quarter, looks / "osei.pdf")
            chromium.print_to_pdf(page(crowd(60)), looks / "crowd.pdf")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

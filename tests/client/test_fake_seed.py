"""The fake with a seed of one's own: its built-in roles are those that the service makes of the same file."""

import pytest
from policy_client import AsyncManageUsersClient, AsyncPolicyClient, Channel, ManageUsersClient, NotFound, PolicyClient
from policy_client.testing import FakePolicyService

from policy_service.app import open_app
from policy_service.policy_text import read_seed
from policy_service.rpc import contract_methods
from policy_service.seed import install
from policy_service.settings import policies_dir
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import grant, reached, register

ADDED = """
# A role of this organisation's own, one that takes something away, and one that loses a right.
p, role:locum, *, claim:view, allow
p, role:locum, *, report:generate, allow
p, role:no_payments, *, invoice:pay, deny
p, role:reader, *, claim:view, allow
p, role:reader, *, app:mobile, deny
"""
LEFT_OUT = "p, role:data_entry, *, claim:delete, allow\n"
HOLDINGS = [
    ("mia", ("locum",)),
    ("leo", ("financial_viewer", "no_payments")),
    ("vera", ("reader",)),
    ("noah", ("data_entry",)),
]


@pytest.fixture
def file(tmp_path):
    shipped = (policies_dir() / "seed.csv").read_text()
    assert LEFT_OUT in shipped
    written = tmp_path / "seed.csv"
    written.write_text(shipped.replace(LEFT_OUT, "") + ADDED)
    return written


async def test_the_fake_answers_by_a_seed_file_as_the_service_does(store, settings, file):
    await install.install_first(store, read_seed(file, methods=contract_methods()), SHIPPED_MODEL)
    async with open_app(settings) as app:
        await reached(app, await register(app, "dr-osei", "ama"))
        for user, roles in HOLDINGS:
            for role in roles:
                await reached(app, await grant(app, "dr-osei", user, role))
        async with (
            AsyncPolicyClient(f"127.0.0.1:{app.planes.decision_port}", timeout=30) as policy,
            AsyncManageUsersClient(f"127.0.0.1:{app.planes.management_port}", timeout=30) as manage,
        ):
            real = [
                (await policy.what_can(user, "dr-osei", channel=channel)).actions
                for user, _ in HOLDINGS
                for channel in Channel
            ]
            roles = (await manage.list_roles("ama", "dr-osei")).roles
    with FakePolicyService(seed=file) as fake:
        fake.add_physician("dr-osei", owner="ama")
        for user, held in HOLDINGS:
            for role in held:
                fake.grant(user, "dr-osei", role)
        with PolicyClient(fake.decision_target, timeout=30) as policy:
            faked = [
                policy.what_can(user, "dr-osei", channel=channel).actions for user, _ in HOLDINGS for channel in Channel
            ]
        with ManageUsersClient(fake.management_target, timeout=30) as manage:
            assert manage.list_roles("ama", "dr-osei").roles == roles
            invited = manage.invite_user("ama", "dr-osei", "ellie@example.org", "ellie", roles=["locum"])
            assert invited.invitation.holding.roles == ("locum",)
    assert faked == real


def test_without_a_file_the_fake_has_the_shipped_roles():
    with FakePolicyService() as fake, ManageUsersClient(fake.management_target) as manage:
        fake.add_physician("dr-osei", owner="ama")
        names = [role.role for role in manage.list_roles("ama", "dr-osei").roles]
        assert names == ["administrator", "data_entry", "financial_viewer", "owner"]
        with pytest.raises(NotFound, match="role"):
            manage.invite_user("ama", "dr-osei", "ellie@example.org", "ellie", roles=["locum"])


def test_the_shipped_file_makes_the_shipped_roles():
    with FakePolicyService(seed=policies_dir() / "seed.csv") as fake, FakePolicyService() as plain:
        for one in (fake, plain):
            one.add_physician("dr-osei", owner="ama")
        with ManageUsersClient(fake.management_target) as left, ManageUsersClient(plain.management_target) as right:
            assert left.list_roles("ama", "dr-osei") == right.list_roles("ama", "dr-osei")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("p, role:locum, *, claim:veiw, allow", "'claim:veiw' is no known action"),
        ("p, role:locum, *, claim:view, alow", "'alow' is neither allow nor deny"),
        ("p, role:locum, claim:view, allow", "a row is p, role:NAME"),
        ("p, user:mia, *, claim:view, allow", "'user:mia' is not role:NAME"),
        ("p, role:Locum, *, claim:view, allow", "'role:Locum' is not role:NAME"),
        ("p, role:locum, physician:dr-osei, claim:view, allow", "is neither * nor system"),
        ("p, role:locum, *, app:mobile, allow", "can be given to invited users"),
        ("p, role:locum, *, *, allow", "can be given to invited users"),
        ("P, role:locum, *, claim:view, allow", "a row is p, role:NAME"),
        ("g, mia, role:locum", "a g row of a seed"),
        ("p, role:owner, *, *, allow", "the same row stands in line"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_line(file, row, words):
    number = len(file.read_text().split("\n"))
    file.write_text(file.read_text() + row + "\n")
    with pytest.raises(ValueError, match=f"seed.csv:{number}: ") as refused:
        FakePolicyService(seed=file)
    assert words in str(refused.value)


def test_a_seed_without_an_owner_is_refused(tmp_path):
    (tmp_path / "seed.csv").write_text(
        "a, claim:view, 1 claims, *, View | View claims.\np, role:locum, *, claim:view, allow\n"
    )
    with pytest.raises(ValueError, match="role:owner"):
        FakePolicyService(seed=tmp_path / "seed.csv")

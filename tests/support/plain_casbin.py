"""A stock pycasbin enforcer with all rows, as anybody would make one."""

from pathlib import Path

import casbin

from policy_service.settings import policies_dir
from tests.support.oracle import Line


def plain_enforcer(lines: set[Line], model: Path | None = None) -> casbin.Enforcer:
    enforcer = casbin.Enforcer(str(model or policies_dir() / "model.conf"))
    enforcer.add_policies([list(line[1:]) for line in sorted(lines) if line[0] == "p"])
    enforcer.add_grouping_policies([list(line[1:]) for line in sorted(lines) if line[0] == "g"])
    return enforcer


def plain_allows(enforcer: casbin.Enforcer, user: str, physician: str, action: str, mobile: bool = False) -> bool:
    ask = [f"user:{user}", f"physician:{physician}"]
    return enforcer.enforce(*ask, action) and (not mobile or enforcer.enforce(*ask, "app:mobile"))

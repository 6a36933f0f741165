"""The kinds of changes in the change log, in words."""

from typing import Final

ACCESS, INVITATIONS, ROLES, POLICY = "Access", "Invitations", "Roles", "Policy"
KINDS: Final = {
    "physician.register": (ACCESS, "account opened"),
    "invitation.accept": (ACCESS, "invitation accepted"),
    "permissions.update": (ACCESS, "permissions edited"),
    "access.revoke": (ACCESS, "access revoked"),
    "access.leave": (ACCESS, "left the account"),
    "grant": (ACCESS, "role given"),
    "revoke": (ACCESS, "role taken"),
    "invite": (INVITATIONS, "invitation sent"),
    "invitation.resend": (INVITATIONS, "invitation sent again"),
    "invitation.cancel": (INVITATIONS, "invitation cancelled"),
    "invitation.decline": (INVITATIONS, "invitation declined"),
    "setup.resend": (INVITATIONS, "link to the set-up sent again"),
    "setup.complete": (INVITATIONS, "credentials set up"),
    "address.request": (ACCESS, "another e-mail address asked for"),
    "address.change": (ACCESS, "e-mail address changed"),
    "role.create": (ROLES, "custom role made"),
    "role.update": (ROLES, "custom role changed"),
    "role.delete": (ROLES, "custom role removed"),
    "seed.install": (POLICY, "built-in policy installed"),
    "seed.apply": (POLICY, "built-in policy changed"),
    "seed.rollback": (POLICY, "built-in policy put back"),
    "caller.add": (POLICY, "calling service added"),
    "caller.change": (POLICY, "calling service's rights changed"),
    "caller.remove": (POLICY, "calling service removed"),
    "caller.rotate": (POLICY, "calling service given another token"),
    "caller.token.remove": (POLICY, "calling service's token ended"),
    "model.install": (POLICY, "reading of the policy changed"),
    "demo.load": (POLICY, "demo accounts loaded"),
    "policy.import": (POLICY, "policy brought over from another database"),
    "log.statement": (POLICY, "what an earlier release left in the log"),
}
POLICY_KINDS: Final = tuple(kind for kind, (lane, _) in KINDS.items() if lane == POLICY)
"""Changes of no one account, which may concern every account."""
EVIDENCE: Final = frozenset({"fork", "key", "log", "records", "records_sha256", "rules_sha256", "signature"})
"""What of an entry's detail is for verifiers: digests and signatures say nothing to a person."""

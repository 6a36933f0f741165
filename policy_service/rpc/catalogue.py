"""What is said of actions, on the wire."""

from policy_service.decide import Basis
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import Channel


def encode_catalogue(basis: Basis) -> list[pb.ActionInfo]:
    """Every action that there is, in the catalogue's order; what its limits are, Casbin says."""
    return [
        pb.ActionInfo(
            action=info.action,
            title=info.title,
            sentence=info.sentence,
            group=info.group,
            owner_only=info.action in basis.owner_only,
            not_mobile=not basis.is_done_in(Channel.MOBILE, info.action),
            deprecated=info.deprecated,
            replaced_by=info.replaced_by,
            needs=info.needs,
            headline=info.headline,
        )
        for info in basis.catalogue
    ]

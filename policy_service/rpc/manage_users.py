"""ManageUsersService: decode, act in one transaction, answer with the revision."""

from functools import partial
from typing import Final

from policy_service import manage_users
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields, parse_title
from policy_service.store import Store
from policy_service.vocabulary import parse_physician, parse_user

MOST_DISPLAY_NAME: Final = 128


class ManageUsersService:
    """The methods of the management plane, as functions from request and caller to response."""

    def __init__(self, store: Store) -> None:
        """Write to ``store``."""
        self._store = store

    async def register_physician(
        self, request: pb.RegisterPhysicianRequest, caller: str
    ) -> pb.RegisterPhysicianResponse:
        """See ManageUsersService.RegisterPhysician in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            physician = fields.read(parse_physician, request.physician)
            owner = fields.read(partial(parse_user, field="owner"), request.owner)
            name = fields.read(partial(parse_title, field="display_name", most=MOST_DISPLAY_NAME), request.display_name)
        written = await manage_users.register_physician(self._store, physician, owner, name, caller=caller, actor=actor)
        return pb.RegisterPhysicianResponse(revision=written.revision)

"""ManageUsersService, its invitations and links: decode, act in one transaction, answer with the revision."""

from functools import partial

from policy_service.members import (
    links,
    suggestion,
)
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields
from policy_service.rpc.manage_values import (
    MOST_INVITATIONS,
    encode_invitation,
    encode_looked,
    encode_page_token,
    parse_actor,
    parse_address,
    parse_holding,
    parse_invitation_id,
    parse_page_token,
    parse_states,
)
from policy_service.rpc.stories import Stories
from policy_service.store import Transaction
from policy_service.vocabulary import (
    parse_physician,
    parse_user,
)


class InvitationMethods(Stories):
    """The methods about invitations, and about what their links and those of new addresses lead to."""

    async def invite_user(self, request: pb.InviteUserRequest, caller: str) -> pb.InviteUserResponse:
        """See ManageUsersService.InviteUser in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            email = fields.read(parse_address, request.email)
            user = fields.read(partial(parse_user, field="username"), request.username)
            holding = fields.read(parse_holding, request.permissions)
        await self._foresee_roles(physician, actor, holding.roles)

        async def story(tx: Transaction) -> pb.InviteUserResponse:
            now = self._clock()
            invitation = await self._invitations.invite(
                tx, physician, user, email, holding, actor=actor, reuse_existing=request.reuse_existing, now=now
            )
            return pb.InviteUserResponse(
                invitation=encode_invitation(invitation, now), suggested_email=suggestion(email)
            )

        return await self._write(request, caller, actor, story)

    async def list_invitations(
        self,
        request: pb.ListInvitationsRequest,
        caller: str,  # noqa: ARG002 - the guard has seen to it.
    ) -> pb.ListInvitationsResponse:
        """See ManageUsersService.ListInvitations in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            states = fields.read(parse_states, request.states)
            before = fields.read(parse_page_token, request.page_token)
        size, now = min(request.page_size or 100, MOST_INVITATIONS), self._clock()
        async with self._store.reading() as look:
            found = await self._invitations.listed(
                look, physician, states, actor=actor, before=before, size=size + 1, now=now
            )
        token = encode_page_token(found[size - 1].revision) if len(found) > size else ""
        return pb.ListInvitationsResponse(
            invitations=[encode_invitation(invitation, now) for invitation in found[:size]], next_page_token=token
        )

    async def resend_invitation(self, request: pb.ResendInvitationRequest, caller: str) -> pb.ResendInvitationResponse:
        """See ManageUsersService.ResendInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(parse_invitation_id, request.invitation_id)
            email = fields.read(parse_address, request.email) if request.email else None

        async def story(tx: Transaction) -> pb.ResendInvitationResponse:
            now = self._clock()
            invitation = await self._invitations.resend(tx, physician, wanted, email, actor=actor, now=now)
            return pb.ResendInvitationResponse(
                invitation=encode_invitation(invitation, now), suggested_email=suggestion(email) if email else ""
            )

        return await self._write(request, caller, actor, story)

    async def cancel_invitation(self, request: pb.CancelInvitationRequest, caller: str) -> pb.CancelInvitationResponse:
        """See ManageUsersService.CancelInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(parse_invitation_id, request.invitation_id)

        async def story(tx: Transaction) -> pb.CancelInvitationResponse:
            await self._invitations.cancel(tx, physician, wanted, actor=actor, now=self._clock())
            return pb.CancelInvitationResponse()

        return await self._write(request, caller, actor, story)

    async def accept_invitation(self, request: pb.AcceptInvitationRequest, caller: str) -> pb.AcceptInvitationResponse:
        """See ManageUsersService.AcceptInvitation in manage_users.proto."""

        async def story(tx: Transaction) -> pb.AcceptInvitationResponse:
            accepted = await links.accept(tx, self._model, request.token, now=self._clock())
            self._refuse_beyond(caller, "AcceptInvitation", accepted.physician)
            return pb.AcceptInvitationResponse(
                username=accepted.user, physician=accepted.physician, must_set_up_credentials=accepted.is_new
            )

        return await self._write(request, caller, "", story)

    async def look_up_invitation(
        self,
        request: pb.LookUpInvitationRequest,
        caller: str,
    ) -> pb.LookUpInvitationResponse:
        """See ManageUsersService.LookUpInvitation in manage_users.proto."""
        async with self._store.reading() as look:
            found = await links.look_up(look, self._model, request.token, now=self._clock())
        self._refuse_beyond(caller, "LookUpInvitation", found.invitation.physician)
        return encode_looked(found)

    async def decline_invitation(
        self, request: pb.DeclineInvitationRequest, caller: str
    ) -> pb.DeclineInvitationResponse:
        """See ManageUsersService.DeclineInvitation in manage_users.proto."""

        async def story(tx: Transaction) -> pb.DeclineInvitationResponse:
            declined = await links.decline(tx, request.token, now=self._clock())
            self._refuse_beyond(caller, "DeclineInvitation", declined.physician)
            return pb.DeclineInvitationResponse(username=declined.user, physician=declined.physician)

        return await self._write(request, caller, "", story)

    async def complete_setup(self, request: pb.CompleteSetupRequest, caller: str) -> pb.CompleteSetupResponse:
        """See ManageUsersService.CompleteSetup in manage_users.proto."""

        async def story(tx: Transaction) -> pb.CompleteSetupResponse:
            done = await links.complete_setup(tx, request.token)
            self._refuse_beyond(caller, "CompleteSetup", done.physician)
            return pb.CompleteSetupResponse(username=done.user, physician=done.physician)

        return await self._write(request, caller, "", story)

    async def change_address(self, request: pb.ChangeAddressRequest, caller: str) -> pb.ChangeAddressResponse:
        """See ManageUsersService.ChangeAddress in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            email = fields.read(parse_address, request.email)

        async def story(tx: Transaction) -> pb.ChangeAddressResponse:
            until = await self._addresses.ask(tx, actor, email, now=self._clock())
            return pb.ChangeAddressResponse(expires_at=until, suggested_email=suggestion(email))

        return await self._write(request, caller, actor, story)

    async def confirm_address(self, request: pb.ConfirmAddressRequest, caller: str) -> pb.ConfirmAddressResponse:
        """See ManageUsersService.ConfirmAddress in manage_users.proto."""

        async def story(tx: Transaction) -> pb.ConfirmAddressResponse:
            user, email = await self._addresses.confirm(tx, request.token, now=self._clock())
            return pb.ConfirmAddressResponse(username=user, email=email)

        return await self._write(request, caller, "", story)

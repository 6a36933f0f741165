"""ManageUsersService of the fake, where people act for themselves: by a link's token, or on their own address."""

from policy_client._pb import manage_users_pb2 as mu
from policy_client.testing import addressing, invitations
from policy_client.testing.addresses import suggestion
from policy_client.testing.fields import Fields
from policy_client.testing.state import State
from policy_client.testing.stories import Stories


class Links(Stories):
    """The methods, by their names in the contract."""

    def accept_invitation(self, request: mu.AcceptInvitationRequest) -> mu.AcceptInvitationResponse:
        """Use a link's token."""

        def story(draft: State) -> mu.AcceptInvitationResponse:
            invitation, is_new = invitations.accept(draft, request.token, self.clock())
            return mu.AcceptInvitationResponse(
                username=invitation.user, physician=invitation.physician, must_set_up_credentials=is_new
            )

        return self.answer(request, story)

    def look_up_invitation(self, request: mu.LookUpInvitationRequest) -> mu.LookUpInvitationResponse:
        """What a link leads to. The fake has no names for people."""
        found = invitations.look_up(self.state, request.token, self.clock())
        account, person = self.state.account(found.physician), self.state.people.get(found.user)
        then = account.with_rows(account.rows | found.holding.rows(found.user))
        return mu.LookUpInvitationResponse(
            physician=found.physician,
            display_name=found.physician,
            username=found.user,
            email=found.email,
            state=getattr(mu, f"INVITATION_STATE_{found.state}"),
            invited_by=found.invited_by,
            allowed=[action for action in account.built_in.actions if then.may(found.user, action)],
            expires_at=found.expires_at,
            must_set_up_credentials=person is None or not person.is_set_up,
        )

    def decline_invitation(self, request: mu.DeclineInvitationRequest) -> mu.DeclineInvitationResponse:
        """Use a link's token to say no."""

        def story(draft: State) -> mu.DeclineInvitationResponse:
            found = invitations.decline(draft, request.token, self.clock())
            return mu.DeclineInvitationResponse(username=found.user, physician=found.physician)

        return self.answer(request, story)

    def complete_setup(self, request: mu.CompleteSetupRequest) -> mu.CompleteSetupResponse:
        """Record that credentials are set up."""

        def story(draft: State) -> mu.CompleteSetupResponse:
            found = invitations.complete_setup(draft, request.token)
            return mu.CompleteSetupResponse(username=found.user, physician=found.physician)

        return self.answer(request, story)

    def change_address(self, request: mu.ChangeAddressRequest) -> mu.ChangeAddressResponse:
        """Ask for another address."""
        with Fields() as fields:
            fields.user("actor", request.actor)
            email = fields.email(request.email)

        def story(draft: State) -> mu.ChangeAddressResponse:
            now = self.clock()
            wish = addressing.ask(draft, request.actor, email, now=now, until=now + self.valid_for)
            return mu.ChangeAddressResponse(expires_at=wish.expires_at, suggested_email=suggestion(email))

        return self.answer(request, story)

    def confirm_address(self, request: mu.ConfirmAddressRequest) -> mu.ConfirmAddressResponse:
        """Use the token of an address's link."""

        def story(draft: State) -> mu.ConfirmAddressResponse:
            wish = addressing.confirm(draft, request.token, self.clock())
            return mu.ConfirmAddressResponse(username=wish.user, email=wish.email)

        return self.answer(request, story)

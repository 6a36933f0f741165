"""Invitations and their e-mails in words: how they fare, what they give, and what to do about one that was not sent."""

from collections.abc import Sequence

import typer
from policy_client import Delivery, DeliveryState, Invitation, InvitationState, Invited
from rich.markup import escape

from policy_service.cli.again import command_again
from policy_service.cli.calling import plain
from policy_service.cli.output import (
    out,
    print_done,
    print_json,
    when,
)

_DELIVERY = {
    DeliveryState.QUEUED: "queued",
    DeliveryState.SENT: "[green]sent[/green]",
    DeliveryState.DELAYED: "[yellow]delayed[/yellow]",
    DeliveryState.BOUNCED: "[red]bounced[/red]",
    DeliveryState.FAILED: "[red]not sent[/red]",
    DeliveryState.OTHER: "other",
}


def print_invited(context: typer.Context, done: str, found: Invited, *, as_json: bool) -> None:
    """What was ``done`` with an invitation, and the address that was perhaps meant, as a command."""
    if as_json:
        print_json(plain(found))
        return
    invitation = found.invitation
    holding = holding_words(invitation.holding.roles, invitation.holding.actions)
    print_done(
        f"{done} {invitation.username} at {invitation.email}, to hold {holding}; open until "
        f"{when(invitation.expires_at)}, as invitation {invitation.id}",
        found.revision,
    )
    if found.suggested_email:
        meant = found.suggested_email
        again = command_again(context, "users", "resend", invitation.physician, invitation.id, "--email", meant)
        out.print(f"Did you mean {escape(meant)}? Then: {escape(again)}")


def state_words(invitation: Invitation) -> str:
    """Where an invitation stands, how its e-mail fares, and when it is tried next."""
    delivery = invitation.delivery
    state = f"{invitation.state.value}, not set up yet" if invitation.awaits_setup else invitation.state.value
    lines = [state, _fares(delivery)]
    return "\n".join([*lines, f"next try {when(delivery.next_try)}"] if delivery.next_try else lines)


def _fares(delivery: Delivery) -> str:
    return _DELIVERY[delivery.state] + (" by our own fault" if delivery.our_fault else "")


def print_advice(invitation: Invitation) -> None:
    """What to do about an e-mail that is not sent, where somebody still waits for it."""
    delivery = invitation.delivery
    is_waited_for = invitation.state is InvitationState.PENDING or invitation.awaits_setup
    if not is_waited_for or delivery.state is DeliveryState.SENT:
        return
    words = f": {escape(delivery.words)}" if delivery.words else ""
    out.print(f"{escape(invitation.username)}'s e-mail is {_fares(delivery)}{words}")
    for advice in delivery.advice:
        out.print(f"  - {escape(advice)}")


def holding_words(roles: Sequence[str] | None, actions: Sequence[str] | None) -> str:
    """What somebody holds or is to hold."""
    return ", ".join([*(roles or ()), *(actions or ())]) or "nothing"

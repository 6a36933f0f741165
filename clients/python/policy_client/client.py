"""What every client is, whichever way it waits: a reach, from what is given and from the environment."""

from typing import Any, ClassVar, TypeVar

from policy_client.channel import Credentials, Options, Target, read_reach, read_timeout
from policy_client.turns import Turns

Kind = TypeVar("Kind", bound="Client")


class Client:
    """Knows where the service is; opens nothing yet."""

    default_target: ClassVar[str]
    variable: ClassVar[str]

    def __init__(
        self,
        target: Target | None = None,
        *,
        timeout: float | None = None,
        credentials: Credentials = "environment",
        options: Options = (),
    ) -> None:
        """``target`` is one address or several, asked in turn; ``timeout`` seconds for a whole call, retries included.

        What is left out comes from the environment, ``POLICY_*``, else from
        the defaults. Raises ValueError for what cannot be, such as an address
        without a port, or plain text beyond this machine.
        """
        self._reach = read_reach(
            target, timeout, credentials, options, variable=self.variable, default_target=self.default_target
        )
        self._reaches = self._reach.each()
        self._turns = Turns(len(self._reaches))
        self._begin()

    def _begin(self) -> None:
        """Make what calls need, without a channel."""
        raise NotImplementedError

    def _heard(self, reply: Any) -> None:
        """Take note of a reply; most clients need not."""

    def on(self, target: Target, kind: type[Kind]) -> Kind:
        """A client of another kind at another target, which reaches it in the same way."""
        reach = self._reach
        return kind(target, timeout=reach.timeout, credentials=reach.credentials, options=reach.options)

    def _seconds(self, given: float | None, at_least: float) -> float:
        """How long a call may take: what is given, else the client's time, or more for what takes longer."""
        return max(at_least, self._reach.timeout) if given is None else read_timeout(given)

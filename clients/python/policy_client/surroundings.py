"""What is around a caller that says nothing itself: variables, and behind them a context of the callers' file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policy_client.contexts import Context, read_config
from policy_client.environment import (
    CALLER_CERT_FILE,
    CALLER_KEY_FILE,
    CALLER_TIMEOUT_SECONDS,
    CALLER_TOKEN,
    CALLER_TOKEN_FILE,
    CONTEXT,
    SERVER_CA_FILE,
    given,
)
from policy_client.identity import Identity
from policy_client.tokens import Token

_FILES: Final = (SERVER_CA_FILE, CALLER_CERT_FILE, CALLER_KEY_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value, and what errors call it."""

    variable: str
    text: str = field(repr=False)
    name: str
    context: Context | None = None
    """Where it is a context's."""


class Surroundings:
    """Variables first, then the context, if there is one."""

    def __init__(
        self, context: Context | None, said: Mapping[str, Found] | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        """``said`` are values that win over both, and ``options`` what says them, by the names of variables."""
        self.context = context
        self._said, self._options = said or {}, options or {}

    def find(self, variable: str) -> Found | None:
        """The value that counts. Raises ValueError for a variable that is empty."""
        if variable in self._said:
            return self._said[variable]
        if (text := given(variable)) is not None:
            return Found(variable=variable, text=text, name=variable)
        if self.context is not None and variable in self.context.values:
            return Found(
                variable=variable,
                text=self.context.values[variable],
                name=self.context.name_of(variable),
                context=self.context,
            )
        return None

    def address(self, given_target: object, variable: str, default: str) -> Found:
        """Where the service is: what is given, or what is found, or the default."""
        if given_target is not None:
            return Found(variable=variable, text=str(given_target), name="target")
        return self.find(variable) or Found(variable=variable, text=default, name=variable)

    def timeout(self) -> tuple[float, str] | None:
        """Seconds, and what errors call them. Raises ValueError."""
        found = self.find(CALLER_TIMEOUT_SECONDS)
        if found is None:
            return None
        try:
            return float(found.text), found.name
        except ValueError:
            raise ValueError(f"{found.name} {found.text!r} is not a number of seconds") from None

    def identity(self, address: Found) -> Identity | None:
        """Who asks at ``address``; None for nobody in particular, in plain text. Raises ValueError."""
        files = [self.find(variable) for variable in _FILES]
        token = self._token()
        if token is None and not any(files):
            return None
        # One that is missing beside an option is missed as an option.
        missed = self._options if self._said.keys() & {*_FILES} else {}
        names = tuple(
            found.name if found else missed.get(variable, variable)
            for found, variable in zip(files, _FILES, strict=True)
        )
        ca_file, cert_file, key_file = (found.text if found else None for found in files)
        if token is not None and token.context is not None and not any(files):
            _refuse_carried_off(token.context, address)
        return Identity(
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            token=None if token is None else _read_token(token),
            names=(names[0], names[1], names[2]),
        )

    def _token(self) -> Found | None:
        """A variable's, in whichever of the two, before the context's."""
        found = [one for variable in (CALLER_TOKEN_FILE, CALLER_TOKEN) if (one := self.find(variable))]
        own = [one for one in found if one.context is None]
        optional = [one for one in own if one in self._said.values()]
        if len(optional or own) > 1:
            raise ValueError(f"{own[0].name} and {own[1].name} are both given: give one of them")
        return next(iter(optional or own or found), None)


def surroundings(context: str | None = None) -> Surroundings:
    """With the context of that name, else with the one that POLICY_CONTEXT names. Raises ValueError.

    The file's current one is the command's alone: a program does not change
    whom it asks because somebody typed something.
    """
    by, name = ("context", context) if context is not None else (CONTEXT, given(CONTEXT))
    return Surroundings(None if name is None else read_config().named(name, by))


def _read_token(found: Found) -> Token:
    if found.variable == CALLER_TOKEN_FILE:
        return Token.in_file(found.text, name=found.name)
    return Token(found.text, name=found.name)


def _refuse_carried_off(context: Context, address: Found) -> None:
    """Nobody says who listens at another address, where there is no TLS to say it."""
    if address.context is not context:
        raise ValueError(
            f"the token of context {context.name} is for that context's addresses alone, and {address.text} is not of "
            f"it ({address.name}), in plain text: give a token for that address, or the context none"
        )

"""What calls raise.

Every error that infino itself reports is an :class:`Error`; the class says what the caller can do about it.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExistsError",
    "ConflictError",
    "CorruptError",
    "Error",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "UnavailableError",
]


class Error(Exception):
    """Why a call did not do what it was asked.

    ``retryable``: the same call may succeed later without anybody changing anything.
    ``outcome_unknown``: the call was a commit of which the store left open whether it happened. It may be visible
    already, or become so; an ``append`` with a ``token`` can safely be tried again.

    >>> import infino
    >>> try:
    ...     infino.connect("memory://").open_table("docs")
    ... except infino.Error as error:
    ...     print(type(error).__name__, "-", error)
    NotFoundError - no table "docs"; there are none
    """

    retryable: bool
    outcome_unknown: bool

    def __init__(self, message: str, retryable: bool = False, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.outcome_unknown = outcome_unknown

    def __reduce__(self) -> tuple[type[Error], tuple[str, bool, bool]]:
        return type(self), (str(self), self.retryable, self.outcome_unknown)


class NotFoundError(Error):
    """The table, version or tag named is not there."""


class AlreadyExistsError(Error):
    """The name is taken, or a row's key."""


class InvalidError(Error, ValueError):
    """The call cannot work as it is; the message says what would."""


class ConflictError(Error):
    """Another writer changed the same rows; read again and decide anew."""


class UnavailableError(Error):
    """Storage does not answer, or refuses; later or with other credentials it may."""


class CorruptError(Error):
    """Stored bytes contradict themselves; the message names the object."""


class InternalError(Error):
    """A defect of infino, or of this machine."""

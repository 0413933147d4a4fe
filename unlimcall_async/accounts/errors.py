"""The errors of many accounts: one for each account that failed, and the group of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from attrs import define

from unlimcall_async._error_root import Category, UnlimCallError
from unlimcall_async.cdrs.checkpoint import Checkpoint

# Accounts that the message of a group names. The group holds an error for each.
_MOST_NAMES: Final = 10


@define(eq=False, slots=False)
class AccountError(UnlimCallError):
    """The work for one account failed. The cause is `__cause__`, and the other accounts went on.

    Attributes:
        account: The name of the account.
        checkpoint: What was handed out of the account before the failure: `resume` of a later pull goes on there. `None` if the
            work was not a pull: a sync stores its place in its table.
    """

    _category: ClassVar[Category] = "application"

    account: str
    checkpoint: Checkpoint | None = None

    @property
    def category(self) -> Category:
        """Who is to blame for the cause; `"application"` for a cause that is not an `UnlimCallError`."""
        cause = self.__cause__
        return cause.category if isinstance(cause, UnlimCallError) else self._category

    def __str__(self) -> str:
        cause = self.__cause__
        reason = "" if cause is None else f": {str(cause) or type(cause).__name__}"
        return f"account {self.account!r} failed{reason}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Python leaves the cause out.
        state = {**self.__dict__, "__cause__": self.__cause__}
        return type(self), (self.account, self.checkpoint), state


class AccountErrorGroup(ExceptionGroup[AccountError]):
    """Some accounts failed: the group holds an `AccountError` for each, in the order of the accounts.

    Attributes:
        results: What the work has returned for the accounts that did not fail; empty for a pull.
    """

    results: Mapping[str, Any]

    def __new__(cls, message: str, errors: Sequence[AccountError], results: Mapping[str, Any] | None = None) -> Self:
        """Make a group of one error or more."""
        group = super().__new__(cls, message, errors)
        group.results = dict(results or {})
        return group

    # An exception is made with all arguments of `__new__`, and the base class takes no more than two.
    def __init__(self, message: str, errors: Sequence[AccountError], _results: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, errors)

    @property
    def errors(self) -> tuple[AccountError, ...]:
        """The errors, one for each account that failed."""
        return tuple(error for error in self.exceptions if isinstance(error, AccountError))

    def derive(self, errors: Sequence[Any], /) -> AccountErrorGroup:  # type: ignore[override] # of account errors alone
        """Return a group of some of the errors, with the same results: `except*` and `split` ask for it."""
        return AccountErrorGroup(self.message, errors, self.results)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exceptions, self.results)


def group_of(
    causes: Mapping[str, tuple[BaseException, Checkpoint | None]], accounts: int, results: Mapping[str, Any]
) -> AccountErrorGroup:
    """Return the group for accounts that failed, given the cause and the checkpoint of each.

    Args:
        causes: The causes, by account.
        accounts: How many accounts there were.
        results: What the others have returned.
    """
    errors = []
    for account, (cause, checkpoint) in causes.items():
        error = AccountError(account, checkpoint)
        error.__cause__ = cause
        errors.append(error)
    names = ", ".join(map(repr, [*causes][:_MOST_NAMES])) + (", ..." if len(causes) > _MOST_NAMES else "")
    return AccountErrorGroup(f"{len(causes):,} of {accounts:,} accounts failed: {names}", errors, results)

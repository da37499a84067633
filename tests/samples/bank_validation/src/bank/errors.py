class BankError(Exception):
    """Base of all errors of this package."""


class InsufficientFunds(BankError):
    pass


class InvalidAmount(BankError, ValueError):
    pass

from bank.errors import InsufficientFunds, InvalidAmount


class Account:
    """An account in whole cents."""

    def __init__(self, owner: str, balance: int = 0) -> None:
        self.owner = owner
        self.balance = balance
        self.entries: list[tuple[str, int]] = []

    def deposit(self, amount: int) -> int:
        if amount <= 0:
            raise InvalidAmount(f"cannot deposit {amount}")
        self.balance += amount
        self.entries.append(("deposit", amount))
        return self.balance

    def withdraw(self, amount: int) -> int:
        if amount > self.balance:
            raise InsufficientFunds(f"{self.owner} has only {self.balance}")
        self.balance -= amount
        self.entries.append(("withdraw", amount))
        return self.balance

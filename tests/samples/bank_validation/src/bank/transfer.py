from bank.account import Account


def transfer(source: Account, target: Account, amount: int) -> None:
    """Move money; nothing happens when the source cannot pay."""
    source.withdraw(amount)
    target.deposit(amount)

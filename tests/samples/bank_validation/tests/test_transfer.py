import pytest
from bank.account import Account
from bank.errors import InsufficientFunds, InvalidAmount
from bank.transfer import transfer


def test_transfer_moves_money():
    a, b = Account("ann", 500), Account("bob")
    transfer(a, b, 200)
    assert (a.balance, b.balance) == (300, 200)


def test_transfer_needs_funds():
    a, b = Account("ann", 100), Account("bob")
    with pytest.raises(InsufficientFunds):
        transfer(a, b, 101)
    assert b.balance == 0


def test_negative_transfer_changes_nothing():
    a, b = Account("ann", 100), Account("bob", 100)
    with pytest.raises(InvalidAmount):
        transfer(a, b, -50)
    assert (a.balance, b.balance) == (100, 100)

import pytest

from bank.account import Account, NotEnough
from bank.transfer import transfer, transfer_all


def test_transfer():
    one, other = Account(100), Account()
    transfer(one, other, 40)
    assert (one.cents, other.cents) == (60, 40)


def test_nothing_changes_when_it_cannot_be():
    one, other = Account(10), Account(5)
    with pytest.raises(NotEnough):
        transfer(one, other, 40)
    assert (one.cents, other.cents) == (10, 5)


def test_to_all():
    one, others = Account(100), [Account(), Account()]
    transfer_all(one, others, 50)
    assert [each.cents for each in others] == [50, 50]

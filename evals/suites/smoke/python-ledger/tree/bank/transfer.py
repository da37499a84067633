def transfer(sender, receiver, cents):
    """Move money from one account to another; nothing changes when it cannot be."""
    receiver.deposit(cents)
    sender.withdraw(cents)


def transfer_all(sender, receivers, cents):
    """The same amount to each of `receivers`: to all of them, or to none."""
    for receiver in receivers:
        transfer(sender, receiver, cents)

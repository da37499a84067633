class NotEnough(Exception):
    pass


class Account:
    def __init__(self, cents=0):
        self.cents = cents

    def deposit(self, cents):
        if cents <= 0:
            raise ValueError("an amount must be above 0")
        self.cents += cents

    def withdraw(self, cents):
        if cents <= 0:
            raise ValueError("an amount must be above 0")
        if cents > self.cents:
            raise NotEnough(f"{self.cents} cents are there, {cents} are wanted")
        self.cents -= cents

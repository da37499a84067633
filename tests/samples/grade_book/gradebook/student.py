class Student:
    def __init__(self, name):
        self.name = name
        self.scores = {}

    def add_score(self, test, points):
        if not 0 <= points <= 100:
            raise ValueError(f"{points} is not between 0 and 100")
        self.scores[test] = points

    def average(self):
        if not self.scores:
            return 0.0
        return sum(self.scores.values()) / len(self.scores)

from metrics.basic import mean, median


class Series:
    def __init__(self, name, values=()):
        self.name = name
        self.values = list(values)

    def push(self, value):
        self.values.append(value)

    def last(self, count):
        return self.values[-count:]

    def moving_average(self, window):
        """The mean of the last `window` values; None as long as there are no values."""
        return mean(self.last(window))

    def summary(self):
        if not self.values:
            return {"name": self.name, "count": 0}
        return {"name": self.name, "count": len(self.values), "median": median(self.values)}

from timing.parse import parse_duration


class Timer:
    def __init__(self, text, now=0):
        self.ends = now + parse_duration(text)

    def remaining(self, now):
        return max(0, self.ends - now)

    def done(self, now):
        return self.remaining(now) == 0

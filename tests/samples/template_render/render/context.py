class Context:
    """Nested lookup: user.name reads context["user"]["name"]."""

    def __init__(self, values):
        self.values = values

    def lookup(self, dotted):
        value = self.values
        for part in dotted.split("."):
            if not isinstance(value, dict) or part not in value:
                return ""
            value = value[part]
        return value

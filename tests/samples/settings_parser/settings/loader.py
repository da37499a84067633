"""Reading a settings file: sections in brackets, `key = value` below them."""

from settings.lines import meaningful
from settings.values import convert


class SettingsError(ValueError):
    def __init__(self, number, message):
        super().__init__(f"line {number}: {message}")
        self.number = number


class Loader:
    def __init__(self):
        self.sections = {"": {}}
        self.current = self.sections[""]

    def open_section(self, line):
        name = line[1:-1].strip()
        self.current = self.sections.setdefault(name, {})

    def read_pair(self, number, line):
        if "=" not in line:
            raise SettingsError(number, "expected key = value")
        parts = line.split("=")
        key, value = parts[0], parts[1]
        self.current[key.strip()] = convert(value.strip())

    def feed(self, text):
        for number, line in meaningful(text):
            if line.startswith("[") and line.endswith("]"):
                self.open_section(line)
            else:
                self.read_pair(number, line)
        return self.sections


def load(text):
    return Loader().feed(text)

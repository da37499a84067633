"""A file's bytes as text and back, without losing its encoding, byte order mark or line endings."""

from __future__ import annotations

from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TextFile:
    """`text` has `\\n` line ends, except in a file that mixes them (`newline` empty), which is kept as it is."""

    text: str
    newline: str = "\n"
    bom: bool = False
    utf8: bool = True

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends; a final newline starts no further line."""
        lines = self.text.split("\n")
        return lines[:-1] if not lines[-1] else lines

    def adapt(self, text: str) -> str:
        """New text with this file's kind of line ends."""
        return text if not self.newline else text.replace("\r\n", "\n")

    def encode(self, text: str) -> bytes | str:
        """The bytes of this file with `text` in it, or one line saying why it cannot hold that text."""
        if "\0" in text:
            return "the text holds NUL characters"
        if self.newline == "\r\n":
            text = text.replace("\n", "\r\n")
        if self.utf8:
            try:
                return (_BOM if self.bom else b"") + text.encode("utf-8")
            except UnicodeEncodeError:
                return "the text holds characters that cannot be written (lone surrogates)"
        if any(ord(character) > 127 for character in set(text) - set(self.text)):
            return "the file is not UTF-8: only ASCII characters can be added to it"
        return text.encode("latin-1")


def decode(data: bytes) -> TextFile | None:
    """The file as text, or None for a binary one. What is not UTF-8 is read byte for byte as Latin-1."""
    if b"\x00" in data[:65_536]:
        return None
    bom = data.startswith(_BOM)
    try:
        text, utf8 = data[len(_BOM) if bom else 0 :].decode("utf-8"), True
    except UnicodeDecodeError:
        text, utf8, bom = data.decode("latin-1"), False, False
    crlf = text.count("\r\n")
    if not crlf:
        return TextFile(text, "" if "\r" in text else "\n", bom, utf8)
    if crlf == text.count("\n") == text.count("\r"):
        return TextFile(text.replace("\r\n", "\n"), "\r\n", bom, utf8)
    return TextFile(text, "", bom, utf8)

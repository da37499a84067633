"""The window: one Textual screen over a `Port`. It shows events and asks; the work is done elsewhere."""

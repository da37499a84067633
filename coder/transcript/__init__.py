"""The transcript of a run: events folded into blocks, and blocks drawn as lines of styled text. No face lives here."""

"""Tool calls as models and servers really write them: found in text, read from each syntax, their arguments repaired."""

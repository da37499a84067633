"""The gates: a patch is accepted by what clean sandboxes show, never by what a model or a program says."""

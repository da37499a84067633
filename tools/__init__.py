"""What the model may call: a few tools over one sandbox, forgiving about names and arguments, never about results.

This room imports only `sandbox`.
"""

"""The checkout's tests."""

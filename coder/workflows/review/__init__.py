"""The reviewer: what it is shown, what it may answer, and which of its objections count."""

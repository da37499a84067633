"""Property tests here run without a deadline: on a busy machine a single example may take long."""

from hypothesis import settings

settings.register_profile("model", deadline=None)
settings.load_profile("model")

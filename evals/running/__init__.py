"""Running a model on many instances, resumable at each."""

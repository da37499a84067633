def retry(call, times=3, on=(Exception,)):
    """Call until it does not raise one of `on`, at most `times` times; the last error is raised."""
    if times < 1:
        raise ValueError("times must be at least 1")
    for attempt in range(1, times):
        try:
            return call()
        except on as error:
            if attempt == times - 1:
                raise
            last = error
    raise last

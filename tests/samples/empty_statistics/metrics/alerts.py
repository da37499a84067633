def breached(series, limit, window=3):
    """Whether the moving average is above the limit; a series without values never is."""
    average = series.moving_average(window)
    return average is not None and average > limit

"""How long the pauses between tries are: doubled, then growing evenly, up to the last one."""


def pause(retries: int, first: int, last: int, doublings: int) -> int:
    """Seconds before the retry after so many others."""
    if retries <= doublings:
        return min(first << retries, last)
    return min((first << doublings) * (retries - doublings + 1), last)


def lasts(attempts: int, first: int, last: int, doublings: int) -> int:
    """Seconds from the first of so many attempts to the last one."""
    return sum(pause(n, first, last, doublings) for n in range(attempts - 1))


def attempts_in(seconds: int, first: int, last: int, doublings: int) -> int:
    """Attempts until so many seconds have passed."""
    attempts = passed = 0
    while passed < seconds:
        passed += pause(attempts, first, last, doublings)
        attempts += 1
    return attempts

"""Waiting for a condition until a deadline, the only way this suite waits."""

import time

LOOK_EVERY_S = 0.05


class WaitedTooLong(Exception):
    """A condition did not come true in time; the text says which, and what was seen last."""


def wait_for(what, look, within_s):
    """Returns the first true value of `look()`.

    `look` may raise: that counts as "not yet", and the last error is named when the deadline passes.
    """
    deadline = time.monotonic() + within_s
    seen = "nothing"
    while True:
        try:
            found = look()
            if found:
                return found
            seen = repr(found)
        except (OSError, ValueError, KeyError) as error:
            seen = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise WaitedTooLong(f"waited {within_s} s for {what}; last seen: {seen}")
        time.sleep(LOOK_EVERY_S)

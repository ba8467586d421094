"""Computes how long downloads take under a limit in bytes per second."""

# If a tenth passed, it would take ten times as long; the rest is for a machine that has much else to do.
_FAR_MORE = 5.0


def check_duration(took_s: float, size_bytes: int, bytes_per_s: int, burst_bytes: int) -> None:
    """Fail when downloads were quicker than their limit allows, or far slower.

    Args:
        took_s: How long they took.
        size_bytes: How much they brought; so much that the limit takes a second for it, or more.
        bytes_per_s: The limit.
        burst_bytes: What may pass at once in the beginning.
    """
    least_s = (size_bytes - burst_bytes) / bytes_per_s
    most_s = _FAR_MORE * size_bytes / bytes_per_s
    if most_s < _FAR_MORE:
        raise ValueError(f"{size_bytes} bytes at {bytes_per_s} a second are over too soon to tell anything")
    if not least_s <= took_s <= most_s:
        raise AssertionError(f"took {took_s:.2f} s, not {least_s:.2f} to {most_s:.2f} s")

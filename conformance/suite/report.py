"""What the suite prints: one line a case as it ends, the table, and the closing line."""

import dataclasses
import json

HEADINGS = ("client", "case", "result", "sent", "acked", "received", "missing", "doubled", "resent", "again",
            "outage ms", "pause ms", "seconds")


def verdict(result):
    """The word in the table."""
    if result.skipped:
        return "skipped"
    if not result.ok:
        return "FAILED"
    return "ok, 2nd" if result.again else "ok"


def row(result):
    """The cells of one result."""
    counts = result.tally
    return (result.client, result.case, verdict(result), counts.sent, counts.acked, counts.received,
            len(counts.missing), len(counts.doubled), counts.resent, counts.again, counts.outage_ms,
            counts.pause_ms, f"{result.seconds:.1f}")


def table(results):
    """All results as aligned text."""
    rows = [HEADINGS] + [tuple(map(str, row(result))) for result in results]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    lines = []
    for cells in rows:
        left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3])]
        right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
        lines.append("  ".join(left + right).rstrip())
    return "\n".join(lines)


def complaints(results):
    """What is wrong with each failed case, and where its logs are."""
    lines = []
    for result in results:
        if not result.ok and not result.skipped:
            lines.append(f"{result.client} {result.case} FAILED, logs in {result.logs}")
            lines += [f"  - {complaint}" for complaint in result.complaints]
        elif result.skipped:
            lines.append(f"{result.client} {result.case} skipped: {result.skipped}")
    return "\n".join(lines)


def closing_line(results):
    """`N passed, N failed`, and how many were skipped if any were."""
    skipped = sum(bool(result.skipped) for result in results)
    failed = sum(not result.ok and not result.skipped for result in results)
    line = f"{len(results) - skipped - failed} passed, {failed} failed"
    return f"{line}, {skipped} skipped" if skipped else line


def as_json(results):
    """The same for machines."""
    cells = [{**dataclasses.asdict(result), "result": verdict(result)} for result in results]
    return json.dumps(cells, indent=2, ensure_ascii=False) + "\n"

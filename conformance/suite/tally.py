"""Counting: pure functions from what the programs said to what is wrong with it.

A message is known by its number. A *place* is a pair (queue, queue offset): the broker gives each stored copy a place
of its own, so two places for one message are two stored copies, and two deliveries of one place are one copy that came
twice, which RocketMQ allows its consumers.
"""

import dataclasses


@dataclasses.dataclass
class Tally:
    """What one case amounts to. `doubled` are copies that no client asked for."""

    sent: int = 0
    acked: int = 0
    received: int = 0
    missing: list = dataclasses.field(default_factory=list)
    unknown: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    resent: int = 0
    again: int = 0
    disordered: list = dataclasses.field(default_factory=list)
    moved: list = dataclasses.field(default_factory=list)
    holes: list = dataclasses.field(default_factory=list)
    damaged: list = dataclasses.field(default_factory=list)
    outage_ms: int = 0
    pause_ms: int = 0

    def complaints(self):
        """One sentence a fault."""
        found = []
        for name, what in (("missing", "acknowledged but never received"), ("unknown", "received but never sent"),
                           ("doubled", "stored more often than sent"), ("disordered", "out of order in its queue"),
                           ("moved", "received at another place than acknowledged"),
                           ("holes", "queue offset never received"), ("damaged", "received with other content")):
            items = getattr(self, name)
            if items:
                found.append(f"{len(items)} {what}: {', '.join(map(str, items[:10]))}")
        return found


def place_of(event):
    """The place that an ACK or RECV line names, or None where the client does not tell it."""
    queue, offset = event.words[-2:]
    return None if "-" in (queue, offset) else (int(queue), int(offset))


def tally(sent_events, received_events, in_order=range(0), outage=None, every_queue_offset=True):
    """Compares what was sent with what was received.

    `in_order`: the numbers whose sends waited for their answer, one after the other. `outage` is the pair of times (kill, first acknowledgement after it) between which a client may have sent a message
    again without saying so. `every_queue_offset`: the consumer was given all of the topic, so that a queue offset
    nobody received is a hole. The times in ms are the caller's to fill in.
    """
    result = Tally()
    acked, failed, oneway = {}, {}, set()
    for event in sent_events:
        if event.kind == "ACK":
            acked[event.number] = event
        elif event.kind == "FAIL":
            failed[event.number] = failed.get(event.number, 0) + 1
        elif event.kind == "SENT":
            oneway.add(event.number)
    attempted = set(acked) | set(failed) | oneway
    places, deliveries = {}, 0
    for event in received_events:
        if event.kind == "BAD":
            result.damaged.append(f"{event.number} ({' '.join(event.words)})")
        elif event.kind == "RECV":
            deliveries += 1
            places.setdefault(event.number, set()).add(place_of(event))
    result.sent = len(attempted)
    result.acked = len(acked)
    result.received = len(places)
    result.missing = sorted((set(acked) | oneway) - set(places))
    result.unknown = sorted(set(places) - attempted)
    result.again = deliveries - sum(len(copies) for copies in places.values())
    for number, copies in sorted(places.items()):
        if len(copies) > 1:
            if failed.get(number) or in_outage(acked.get(number), outage):
                result.resent += len(copies) - 1
            else:
                result.doubled.append(f"{number} at {sorted(copies)}")
    result.moved = [
        f"{number} acknowledged at {place_of(event)}, received at {sorted(places[number])}"
        for number, event in sorted(acked.items())
        if number in places and place_of(event) and place_of(event) not in places[number]]
    result.disordered = disordered({number: acked[number] for number in in_order if number in acked}, places)
    if every_queue_offset:
        result.holes = holes(places)
    return result


def in_outage(ack, outage):
    """Whether the send that `ack` ends may have begun before the outage was over."""
    return ack is not None and outage is not None and outage[0] <= ack.at <= outage[1]


def disordered(acked, places):
    """Messages that lie before an earlier acknowledged one in the same queue."""
    last, found = {}, []
    for number in sorted(acked):
        copies = places.get(number, set())
        place = place_of(acked[number]) or (next(iter(copies)) if len(copies) == 1 else None)
        if place is None:
            continue
        queue, offset = place
        if offset <= last.get(queue, -1):
            found.append(f"{number} at {place} behind {last[queue]}")
        last[queue] = max(offset, last.get(queue, -1))
    return found


def holes(places):
    """Queue offsets from 0 to the highest received that nobody received."""
    queues = {}
    for copies in places.values():
        for queue, offset in copies:
            queues.setdefault(queue, set()).add(offset)
    return [f"({queue}, {offset})" for queue, offsets in sorted(queues.items())
            for offset in range(max(offsets)) if offset not in offsets]


def longest_gap_ms(events):
    """The longest time between two neighbouring events."""
    times = sorted(event.at for event in events)
    return round(1000 * max((later - earlier for earlier, later in zip(times, times[1:])), default=0))

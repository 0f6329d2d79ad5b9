"""Reads an execution trace from standard input with Perfetto's own schema and prints what it holds, as JSON.

Exits 1 when it is no such trace, or a slice on a track ends that has not begun, is left open, or names something unknown.
"""

import collections
import json
import sys

from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def main(data):
    trace = Trace.FromString(data)
    if not trace.packet:
        raise ValueError("there is no packet in it")
    counts, names, tracks, last = collections.Counter(), {}, {}, {}
    for packet in trace.packet:
        names.update((name.iid, name.name) for name in packet.interned_data.event_names)
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            counts["threads"] += track.HasField("thread")
            tracks[track.uuid] = []
        if packet.HasField("track_event"):
            event(packet.track_event, packet.timestamp, counts, names, tracks, last)
    left = {uuid: names for uuid, names in tracks.items() if names}
    if left:
        raise ValueError(f"slices are left open: {left}")
    print(json.dumps(counts))


def event(event, timestamp, counts, names, tracks, last):
    track = tracks.get(event.track_uuid)
    if track is None:
        raise ValueError(f"track {event.track_uuid} was not described")
    if timestamp < last.get(event.track_uuid, 0):
        raise ValueError(f"track {event.track_uuid} goes back in time")
    last[event.track_uuid] = timestamp
    if event.type == TrackEvent.TYPE_SLICE_END:
        if not track:
            raise ValueError(f"a slice of track {event.track_uuid} ends that has not begun")
        track.pop()
        return
    name = event.name or names.get(event.name_iid)
    if name is None:
        raise ValueError(f"there is no name {event.name_iid}")
    if event.type == TrackEvent.TYPE_SLICE_BEGIN:
        track.append(name)
        counts[f"slices of {name}"] += 1
        counts["slices"] += 1
    else:
        counts["instants"] += 1


if __name__ == "__main__":
    try:
        main(sys.stdin.buffer.read())
    except (DecodeError, ValueError) as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")

"""Reads an execution trace with Perfetto's own schema, and compares it with what its writer meant.

Usage: perfetto_check.py TRACE EXPECTED
EXPECTED is a JSON object: `slices` maps "category/name" to a count, `notes` lists texts that the trace has to show.
Exits 1 at the first thing that is not as it should be; otherwise prints what it counted.
"""

import collections
import json
import pathlib
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto

Event = perfetto.TrackEvent


def no_unknown(message):
    """Fields that the schema does not have would be ours alone."""
    if len(UnknownFieldSet(message)) > 0:
        raise ValueError(f"fields that the schema does not know in {type(message).__name__}")
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                no_unknown(part)


class Interned:
    def __init__(self):
        self.names, self.categories, self.annotations = {}, {}, {}

    def add(self, data):
        for into, entries in [
            (self.names, data.event_names),
            (self.categories, data.event_categories),
            (self.annotations, data.debug_annotation_names),
        ]:
            into.update((entry.iid, entry.name) for entry in entries)


def descriptors(trace):
    tracks = {}
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            if track.uuid in tracks:
                raise ValueError(f"track {track.uuid} is described twice")
            tracks[track.uuid] = track
    processes = [track for track in tracks.values() if track.HasField("process")]
    if len(processes) != 1 or not processes[0].process.process_name:
        raise ValueError(f"one process with a name was expected: {processes}")
    for track in tracks.values():
        if track.HasField("thread"):
            thread = track.thread
            if thread.pid != processes[0].process.pid or thread.tid <= 0 or not thread.thread_name:
                raise ValueError(f"thread without number or name: {thread}")
        if track.parent_uuid and track.parent_uuid not in tracks:
            raise ValueError(f"the parent of {track} is missing")
    return tracks


def clocks(trace):
    snapshots = [packet.clock_snapshot for packet in trace.packet if packet.HasField("clock_snapshot")]
    found = {clock.clock_id: clock.timestamp for clock in snapshots[0].clocks}
    if sorted(found) != [perfetto.BUILTIN_CLOCK_REALTIME, perfetto.BUILTIN_CLOCK_MONOTONIC, perfetto.BUILTIN_CLOCK_BOOTTIME]:
        raise ValueError(f"clocks {found}")
    if snapshots[0].primary_trace_clock != perfetto.BUILTIN_CLOCK_BOOTTIME:
        raise ValueError("packets without a clock are read as boot time")
    return found[perfetto.BUILTIN_CLOCK_BOOTTIME]


def main(path, expected):
    trace = perfetto.Trace()
    trace.ParseFromString(path.read_bytes())
    no_unknown(trace)
    tracks, start, interned = descriptors(trace), clocks(trace), Interned()
    open_slices, latest = collections.defaultdict(list), {}
    slices, instants, notes, sources, sinks = collections.Counter(), collections.Counter(), [], {}, {}
    for packet in trace.packet:
        if packet.sequence_flags & perfetto.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED:
            interned = Interned()
        interned.add(packet.interned_data)
        if not packet.HasField("track_event"):
            continue
        event, at = packet.track_event, packet.timestamp
        if not packet.sequence_flags & perfetto.TracePacket.SEQ_NEEDS_INCREMENTAL_STATE:
            raise ValueError("an event with interned names has to say so")
        if event.track_uuid not in tracks:
            raise ValueError(f"event on an unknown track: {event}")
        if at < latest.get(event.track_uuid, start):
            raise ValueError(f"out of order: {event} at {at}")
        latest[event.track_uuid] = at
        if event.type == Event.TYPE_SLICE_END:
            open_slices[event.track_uuid].pop()
            continue
        (category,) = [interned.categories[iid] for iid in event.category_iids]
        name = interned.names[event.name_iid] if event.HasField("name_iid") else event.name
        if not name:
            raise ValueError(f"no name: {event}")
        for annotation in event.debug_annotations:
            if interned.annotations[annotation.name_iid] not in ("task", "span_id"):
                raise ValueError(f"annotation {annotation}")
        for flow in event.flow_ids:
            sources.setdefault(flow, []).append(at)
        for flow in event.terminating_flow_ids:
            sinks.setdefault(flow, []).append(at)
        if event.type == Event.TYPE_SLICE_BEGIN:
            open_slices[event.track_uuid].append(name)
            slices[f"{category}/{name}"] += 1
        elif event.type == Event.TYPE_INSTANT:
            instants[category] += 1
            if category == "note":
                notes.append(name)
        else:
            raise ValueError(f"type {event.type}")
    for track, names in open_slices.items():
        if names:
            raise ValueError(f"slices on track {track} do not end: {names}")
    if set(sources) != set(sinks):
        raise ValueError(f"flows with one end: {set(sources) ^ set(sinks)}")
    for flow, begins in sources.items():
        if len(begins) != 1 or len(sinks[flow]) != 1 or begins[0] > sinks[flow][0]:
            raise ValueError(f"flow {flow:x} leads from {begins} to {sinks[flow]}")
    for name, count in expected["slices"].items():
        if slices[name] != count:
            raise ValueError(f"{name}: {slices[name]} slices, not {count}")
    for note in expected["notes"]:
        if note not in notes:
            raise ValueError(f"the note {note!r} is missing among {notes}")
    print(f"slices={sum(slices.values())} instants={sum(instants.values())} flows={len(sources)} tracks={len(tracks)}")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (ValueError, KeyError, IndexError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

//! Reads a trace with the messages that it was written with, as strictly as a reader may be.

use std::collections::HashMap;

use prost::Message;

use super::super::messages::{INSTANT, SLICE_BEGIN, SLICE_END, TracePacket};

#[derive(Clone, PartialEq, prost::Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) thread: String,
    pub(super) category: String,
    pub(super) name: String,
    pub(super) task: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) depth: usize,
    pub(super) flows: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Wake {
    pub(super) name: String,
    pub(super) task: u64,
    pub(super) at: u64,
    pub(super) flows: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Read {
    pub(super) slices: Vec<Slice>,
    pub(super) wakes: Vec<Wake>,
    pub(super) notes: Vec<String>,
    pub(super) began: u64,
    pub(super) ended: u64,
}

pub(super) fn read(bytes: &[u8]) -> Read {
    let trace = Trace::decode(bytes).unwrap();
    let mut names = HashMap::new();
    let mut categories = HashMap::new();
    let mut tracks = HashMap::new();
    let mut open: HashMap<u64, Vec<Slice>> = HashMap::new();
    let mut latest: HashMap<u64, u64> = HashMap::new();
    let mut read = Read { slices: Vec::new(), wakes: Vec::new(), notes: Vec::new(), began: 0, ended: 0 };
    for packet in trace.packet {
        if let Some(data) = packet.interned_data {
            names.extend(data.event_names.into_iter().map(|name| (name.iid(), name.name().to_owned())));
            categories.extend(data.event_categories.into_iter().map(|name| (name.iid(), name.name().to_owned())));
        }
        if let Some(track) = packet.track_descriptor {
            let name = track.thread.as_ref().map(|thread| thread.thread_name().to_owned());
            assert!(tracks.insert(track.uuid(), name.unwrap_or_default()).is_none(), "a track twice");
        }
        let Some(event) = packet.track_event else { continue };
        let (at, track) = (packet.timestamp.unwrap(), event.track_uuid());
        let before = latest.insert(track, at).unwrap_or_default();
        assert!(before <= at, "the events of a track are in order");
        let name = event.name_iid.map_or_else(|| event.name().to_owned(), |iid| names[&iid].clone());
        let category = event.category_iids.first().map(|iid| categories[iid].clone()).unwrap_or_default();
        let task = event.debug_annotations.iter().find_map(|annotation| annotation.uint_value).unwrap_or_default();
        match event.kind() {
            SLICE_BEGIN => {
                let stack = open.entry(track).or_default();
                let (thread, depth, flows) = (tracks[&track].clone(), stack.len(), event.terminating_flow_ids);
                stack.push(Slice { thread, category, name, task, begin: at, end: 0, depth, flows });
            }
            SLICE_END => {
                let slice = open.get_mut(&track).and_then(Vec::pop).expect("a slice ends that did not begin");
                read.slices.push(Slice { end: at, ..slice });
            }
            INSTANT if category == "wake" => read.wakes.push(Wake { name, task, at, flows: event.flow_ids }),
            INSTANT => read.notes.push(name),
            other => panic!("event of type {other}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "slices stay open: {open:?}");
    let recording = read.slices.iter().position(|slice| slice.name == "recording").unwrap();
    let recording = read.slices.remove(recording);
    (read.began, read.ended) = (recording.begin, recording.end);
    read
}

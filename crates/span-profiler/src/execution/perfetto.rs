//! A trace as Perfetto reads it: a process, a track for each thread, and one that says what is missing.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::balance::{Balance, Edge, Mark};
use super::messages::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, Clock, ClockSnapshot, DebugAnnotation, INCREMENTAL_STATE_CLEARED,
    INSTANT, Interned, InternedData, NEEDS_INCREMENTAL_STATE, ProcessDescriptor, SLICE_BEGIN, SLICE_END, TRACE_PACKET,
    ThreadDescriptor, TracePacket, TrackDescriptor, TrackEvent,
};
use super::session::{Event, Kind, ThreadEvents};
use super::trace::ExecutionTrace;
use crate::names::{self, NameId};
use crate::threads::Thread;

/// Numbers of the interned categories and annotation names.
const POLL: u64 = 1;
const WAKE: u64 = 2;
const SPAN: u64 = 3;
const NOTE: u64 = 4;
const CATEGORIES: [(u64, &str); 4] = [(POLL, "poll"), (WAKE, "wake"), (SPAN, "span"), (NOTE, "note")];
const TASK_ID: u64 = 1;
const SPAN_ID: u64 = 2;
const ANNOTATIONS: [(u64, &str); 2] = [(TASK_ID, "task"), (SPAN_ID, "span_id")];

/// Bytes of an event, measured: they are between 20 and 60.
const EVENT_BYTES: usize = 48;

/// A slice: a poll of a task or a stay in a span. A span's name may change while it is open, so it does not count.
#[derive(Debug, Clone, Copy)]
struct Slice {
    category: u64,
    id: u64,
    name: NameId,
    span_id: u64,
}

impl Slice {
    fn identity(&self) -> (u64, u64) {
        (self.category, self.id)
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Slice {}

impl Hash for Slice {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ExecutionTrace {
    /// The trace as a file for `ui.perfetto.dev`, `trace_processor` and other readers of Perfetto's protobuf.
    #[must_use]
    pub fn to_perfetto(&self) -> Vec<u8> {
        let mut writer = Writer::new(self);
        writer.head();
        let mut threads: Vec<ThreadView<'_>> = self.recorded.threads.iter().map(ThreadView::of).collect();
        for poll in &self.open {
            // A thread that did nothing but poll one task all the time has no events.
            if !threads.iter().any(|thread| Arc::ptr_eq(thread.thread, &poll.thread)) {
                threads.push(ThreadView { thread: &poll.thread, events: &[], cut: None });
            }
        }
        for (index, thread) in (0..).zip(&threads) {
            writer.thread(index, thread);
        }
        writer.bytes
    }
}

/// What there is of a thread.
struct ThreadView<'a> {
    thread: &'a Arc<Thread>,
    events: &'a [Event],
    cut: Option<u64>,
}

impl<'a> ThreadView<'a> {
    fn of(thread: &'a ThreadEvents) -> Self {
        Self { thread: &thread.thread, events: &thread.events, cut: thread.cut }
    }
}

struct Writer<'a> {
    trace: &'a ExecutionTrace,
    bytes: Vec<u8>,
    pid: u32,
    names: HashMap<NameId, u64>,
}

impl<'a> Writer<'a> {
    fn new(trace: &'a ExecutionTrace) -> Self {
        let bytes = Vec::with_capacity(trace.events() * EVENT_BYTES);
        Self { trace, bytes, pid: std::process::id(), names: HashMap::new() }
    }

    fn packet(&mut self, packet: &TracePacket) {
        prost::encoding::message::encode(TRACE_PACKET, packet, &mut self.bytes);
    }

    /// Clocks, names, the process, and what the trace lacks.
    fn head(&mut self) {
        let recorded = &self.trace.recorded;
        let clock = |clock_id, offset: i128| {
            let timestamp = u64::try_from(i128::from(recorded.began) + offset).unwrap_or_default();
            Clock { clock_id: Some(clock_id), timestamp: Some(timestamp) }
        };
        let clocks = vec![
            clock(CLOCK_BOOTTIME, self.trace.boot_offset),
            clock(CLOCK_MONOTONIC, 0),
            clock(CLOCK_REALTIME, self.trace.unix_offset),
        ];
        let clock_snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(CLOCK_BOOTTIME) };
        self.packet(&TracePacket { clock_snapshot: Some(clock_snapshot), ..sequence() });
        self.intern();
        let (pid, process_name) = (i32::try_from(self.pid).ok(), process_name());
        let process = ProcessDescriptor { pid, process_name };
        let uuid = Some(self.uuid(0));
        self.track(TrackDescriptor { uuid, process: Some(process), ..Default::default() });
        let name = Some("about this trace".to_owned());
        let about = self.uuid(1);
        self.track(TrackDescriptor { uuid: Some(about), parent_uuid: uuid, name, ..Default::default() });
        let note = |kind, name| TrackEvent {
            kind: Some(kind),
            category_iids: vec![NOTE],
            track_uuid: Some(about),
            name,
            ..Default::default()
        };
        self.event(recorded.began, note(SLICE_BEGIN, Some("recording".to_owned())));
        for text in self.trace.notes() {
            self.event(recorded.began, note(INSTANT, Some(text)));
        }
        self.event(recorded.ended, TrackEvent { category_iids: Vec::new(), ..note(SLICE_END, None) });
    }

    /// All names before they are used, in one packet: readers resolve them in the order of the file.
    fn intern(&mut self) {
        let list = |texts: &[(u64, &str)]| {
            texts.iter().map(|(iid, text)| Interned { iid: Some(*iid), name: Some((*text).to_owned()) }).collect()
        };
        let trace = self.trace;
        let events = trace.recorded.threads.iter().flat_map(|thread| &thread.events).map(|event| event.name);
        for name in events.chain(trace.open.iter().map(|poll| poll.name)) {
            let next = self.names.len() as u64 + 1;
            self.names.entry(name).or_insert(next);
        }
        let name = |(name, iid): (&NameId, &u64)| Interned { iid: Some(*iid), name: Some(names::text(*name).to_string()) };
        let interned_data = InternedData {
            event_categories: list(&CATEGORIES),
            event_names: self.names.iter().map(name).collect(),
            debug_annotation_names: list(&ANNOTATIONS),
        };
        let sequence_flags = Some(INCREMENTAL_STATE_CLEARED | NEEDS_INCREMENTAL_STATE);
        self.packet(&TracePacket { interned_data: Some(interned_data), sequence_flags, ..sequence() });
    }

    fn thread(&mut self, index: u64, view: &ThreadView<'_>) {
        let trace = self.trace;
        let uuid = self.uuid(2 + index);
        let (pid, tid) = (i32::try_from(self.pid).ok(), view.thread.tid);
        // Where the system's number is not known, any other one that tells the threads apart.
        let tid = if tid == 0 { i32::try_from(index + 1).ok() } else { Some(tid) };
        let thread = ThreadDescriptor { pid, tid, thread_name: Some(view.thread.name.to_string()) };
        let parent_uuid = Some(self.uuid(0));
        let track = TrackDescriptor { uuid: Some(uuid), parent_uuid, thread: Some(thread), ..Default::default() };
        self.track(track);
        let mut open: Vec<_> = trace.open.iter().filter(|poll| Arc::ptr_eq(&poll.thread, view.thread)).collect();
        open.sort_by_key(|poll| poll.began);
        let open = open.iter().map(|poll| Slice { category: POLL, id: poll.task, name: poll.name, span_id: 0 }).collect();
        let edges = view.events.iter().filter_map(|event| edge(event));
        let mut balance = Balance::new(open, edges);
        balance.start(trace.recorded.began, |mark| self.mark(uuid, mark, 0));
        for event in view.events {
            match edge(event) {
                Some((edge, slice)) => balance.edge(event.at, edge, slice, |mark| self.mark(uuid, mark, event.other)),
                None => self.wake(uuid, event),
            }
        }
        balance.finish(view.cut.unwrap_or(trace.recorded.ended), |mark| self.mark(uuid, mark, 0));
        if let Some(cut) = view.cut {
            let name = Some("later events of this thread are lost".to_owned());
            let (kind, category_iids, track_uuid) = (Some(INSTANT), vec![NOTE], Some(uuid));
            self.event(cut, TrackEvent { kind, category_iids, track_uuid, name, ..Default::default() });
        }
    }

    fn mark(&mut self, uuid: u64, mark: Mark<Slice>, flow: u64) {
        let track_uuid = Some(uuid);
        match mark {
            Mark::End { at } => {
                self.event(at, TrackEvent { kind: Some(SLICE_END), track_uuid, ..Default::default() });
            }
            Mark::Begin { at, key, first } => {
                let is_poll = key.category == POLL && first;
                let flow = Some(flow).filter(|flow| is_poll && self.trace.flows.contains(flow));
                let event = TrackEvent {
                    kind: Some(SLICE_BEGIN),
                    track_uuid,
                    category_iids: vec![key.category],
                    name_iid: self.names.get(&key.name).copied(),
                    debug_annotations: annotation(&key),
                    terminating_flow_ids: flow.into_iter().collect(),
                    ..Default::default()
                };
                self.event(at, event);
            }
        }
    }

    fn wake(&mut self, uuid: u64, event: &Event) {
        let text = if event.kind == Kind::Spawn { "spawn" } else { "wake" };
        let instant = TrackEvent {
            kind: Some(INSTANT),
            track_uuid: Some(uuid),
            category_iids: vec![WAKE],
            name: Some(format!("{text} {}", names::text(event.name))),
            debug_annotations: task_annotation(event.id),
            flow_ids: Some(event.other).filter(|flow| self.trace.flows.contains(flow)).into_iter().collect(),
            ..Default::default()
        };
        self.event(event.at, instant);
    }

    fn event(&mut self, at: u64, event: TrackEvent) {
        let timestamp = u64::try_from(i128::from(at) + self.trace.boot_offset).ok();
        let sequence_flags = Some(NEEDS_INCREMENTAL_STATE);
        self.packet(&TracePacket { timestamp, track_event: Some(event), sequence_flags, ..sequence() });
    }

    fn track(&mut self, track: TrackDescriptor) {
        self.packet(&TracePacket { track_descriptor: Some(track), ..sequence() });
    }

    /// Numbers of tracks have to be unique among all processes that a reader may join into one trace.
    fn uuid(&self, index: u64) -> u64 {
        u64::from(self.pid) << 32 | index + 1
    }
}

/// All packets are one sequence, so that names are written once.
fn sequence() -> TracePacket {
    TracePacket { trusted_packet_sequence_id: Some(1), ..Default::default() }
}

fn edge(event: &Event) -> Option<(Edge, Slice)> {
    let (edge, category) = match event.kind {
        Kind::PollBegin => (Edge::Begin, POLL),
        Kind::PollEnd => (Edge::End, POLL),
        Kind::Enter => (Edge::Begin, SPAN),
        Kind::Exit => (Edge::End, SPAN),
        Kind::Wake | Kind::Spawn => return None,
    };
    let span_id = if category == SPAN { event.other } else { 0 };
    Some((edge, Slice { category, id: event.id, name: event.name, span_id }))
}

fn annotation(slice: &Slice) -> Vec<DebugAnnotation> {
    match *slice {
        Slice { category: POLL, id, .. } => task_annotation(id),
        // OpenTelemetry does not know it.
        Slice { span_id: 0, .. } => Vec::new(),
        Slice { span_id, .. } => {
            let string_value = Some(format!("{span_id:016x}"));
            vec![DebugAnnotation { name_iid: Some(SPAN_ID), string_value, uint_value: None }]
        }
    }
}

fn task_annotation(id: u64) -> Vec<DebugAnnotation> {
    vec![DebugAnnotation { name_iid: Some(TASK_ID), uint_value: Some(id), string_value: None }]
}

/// Without arguments: those may be secrets.
fn process_name() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

//! Profiles as `go tool pprof` and its relatives read them: gzip around protobuf.

mod messages;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use super::{Sample, Symbolized, ValueType};
use crate::symbols::{Location, Mapping, Symbol};

impl Symbolized {
    /// The profile in pprof's format, compressed by gzip as Go's own handlers send it. Equal profiles give equal bytes.
    #[must_use]
    pub fn to_pprof(&self) -> Vec<u8> {
        let message = encode(self).encode_to_vec();
        // As Go does: the better levels take several times as long for a few per cent.
        let mut gzip = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        // Writing to a Vec cannot fail.
        let _ = gzip.write_all(&message);
        gzip.finish().unwrap_or_default()
    }
}

fn encode(symbolized: &Symbolized) -> messages::Profile {
    let profile = &symbolized.profile;
    let mut tables = Tables::default();
    tables.strings.id("");
    // Readers take the first mapping for the program.
    if let Some(program) = &symbolized.resolved.program {
        tables.mapping(program);
    }

    let mut samples: Vec<&Sample> = profile.samples.iter().collect();
    samples.sort_by(|a, b| a.stack.cmp(&b.stack).then_with(|| a.labels.cmp(&b.labels)).then(a.values.cmp(&b.values)));
    let locations: BTreeMap<u64, &Arc<Location>> =
        symbolized.resolved.locations.iter().map(|(address, location)| (*address, location)).collect();
    let ids: HashMap<u64, u64> = locations.keys().copied().zip(1..).collect();
    let location = locations.iter().zip(1..).map(|((address, location), id)| tables.location(id, *address, location));
    let location = location.collect();

    let sample_type = profile.value_types.iter().map(|kind| tables.value_type(*kind)).collect();
    let default = profile.value_types.get(profile.default_value).map_or("", |kind| kind.kind);
    messages::Profile {
        sample_type,
        sample: samples.into_iter().map(|sample| tables.sample(sample, &ids)).collect(),
        location,
        drop_frames: tables.strings.id(profile.drop_frames.unwrap_or("")),
        keep_frames: 0,
        time_nanos: nanoseconds(profile.start),
        duration_nanos: i64::try_from(profile.duration.as_nanos()).unwrap_or(i64::MAX),
        period_type: profile.period.map(|(kind, _)| tables.value_type(kind)),
        period: profile.period.map_or(0, |(_, period)| period),
        comment: profile.comments.iter().map(|comment| tables.strings.id(comment)).collect(),
        default_sample_type: tables.strings.id(default),
        mapping: tables.mappings,
        function: tables.functions,
        string_table: tables.strings.texts.into_iter().map(str::to_owned).collect(),
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Each text once; the first one is empty.
#[derive(Default)]
struct Strings<'a> {
    texts: Vec<&'a str>,
    ids: HashMap<&'a str, i64>,
}

impl<'a> Strings<'a> {
    fn id(&mut self, text: &'a str) -> i64 {
        let next = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        *self.ids.entry(text).or_insert_with(|| {
            self.texts.push(text);
            next
        })
    }
}

/// What samples point to, by number; the numbers start at one, zero stands for none.
#[derive(Default)]
struct Tables<'a> {
    strings: Strings<'a>,
    mappings: Vec<messages::Mapping>,
    mapping_ids: HashMap<(u64, u64, &'a str), u64>,
    functions: Vec<messages::Function>,
    function_ids: HashMap<&'a Symbol, u64>,
}

impl<'a> Tables<'a> {
    fn value_type(&mut self, kind: ValueType) -> messages::ValueType {
        messages::ValueType { r#type: self.strings.id(kind.kind), unit: self.strings.id(kind.unit) }
    }

    fn sample(&mut self, sample: &'a Sample, ids: &HashMap<u64, u64>) -> messages::Sample {
        let label = |(key, text): &'a (&'static str, Arc<str>)| messages::Label {
            key: self.strings.id(key),
            str: self.strings.id(text),
            num: 0,
            num_unit: 0,
        };
        messages::Sample {
            location_id: sample.stack.iter().filter_map(|address| ids.get(address).copied()).collect(),
            value: sample.values.to_vec(),
            label: sample.labels.iter().map(label).collect(),
        }
    }

    fn location(&mut self, id: u64, address: u64, location: &'a Location) -> messages::Location {
        let mapping_id = location.mapping.as_deref().map_or(0, |mapping| self.mapping(mapping));
        if let Some(mapping) =
            mapping_id.checked_sub(1).and_then(|index| self.mappings.get_mut(usize::try_from(index).ok()?))
        {
            // Readers look for symbols of their own unless there are functions.
            mapping.has_functions = true;
            mapping.has_filenames |= location.frames.iter().any(|frame| !frame.symbol.file.is_empty());
            mapping.has_line_numbers |= location.frames.iter().any(|frame| frame.line > 0);
            mapping.has_inline_frames |= location.frames.len() > 1;
        }
        let line = location.frames.iter().map(|frame| messages::Line {
            function_id: self.function(&frame.symbol),
            line: i64::from(frame.line),
            column: 0,
        });
        messages::Location { id, mapping_id, address, line: line.collect(), is_folded: false }
    }

    fn mapping(&mut self, mapping: &'a Mapping) -> u64 {
        let next = self.mappings.len() as u64 + 1;
        let strings = &mut self.strings;
        *self.mapping_ids.entry((mapping.start, mapping.limit, &mapping.file)).or_insert_with(|| {
            self.mappings.push(messages::Mapping {
                id: next,
                memory_start: mapping.start,
                memory_limit: mapping.limit,
                file_offset: mapping.offset,
                filename: strings.id(&mapping.file),
                build_id: strings.id(&mapping.build_id),
                ..messages::Mapping::default()
            });
            next
        })
    }

    fn function(&mut self, symbol: &'a Symbol) -> u64 {
        let next = self.functions.len() as u64 + 1;
        let strings = &mut self.strings;
        *self.function_ids.entry(symbol).or_insert_with(|| {
            self.functions.push(messages::Function {
                id: next,
                name: strings.id(&symbol.name),
                // Readers that find the same name here take it for mangled, and cut everything between `<` and `>`.
                system_name: 0,
                filename: strings.id(&symbol.file),
                start_line: 0,
            });
            next
        })
    }
}

//! Catches encodings with loose ends: numbers that point nowhere, texts in the wrong place, bytes that change by chance.

#[cfg(feature = "__foreign")]
mod foreign;

use std::collections::HashSet;
use std::io::Read as _;

use proptest::prelude::*;
use prost::Message as _;

use super::messages::{Profile as Encoded, ValueType};
use crate::profile::tests::{profile, resolved, sample, samples, symbolized};
use crate::profile::{Profile, Symbolized};

fn decode(symbolized: &Symbolized) -> Encoded {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&*symbolized.to_pprof()).read_to_end(&mut bytes).unwrap();
    Encoded::decode(&*bytes).unwrap()
}

impl Encoded {
    fn text(&self, id: i64) -> &str {
        &self.string_table[usize::try_from(id).unwrap()]
    }

    fn kind(&self, kind: ValueType) -> (&str, &str) {
        (self.text(kind.r#type), self.text(kind.unit))
    }
}

#[test]
fn the_head_says_what_is_counted_when_and_how_often() {
    let mut profile = profile(vec![sample(&[0x10_0010], 1, &[("span_name", "a")])]);
    profile.drop_frames = Some("malloc|_rjem_.*");
    let encoded = decode(&symbolized(profile));
    assert_eq!(encoded.string_table[0], "");
    let kinds: Vec<_> = encoded.sample_type.iter().map(|kind| encoded.kind(*kind)).collect();
    assert_eq!(kinds, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(encoded.text(encoded.default_sample_type), "cpu");
    assert_eq!(encoded.kind(encoded.period_type.unwrap()), ("cpu", "nanoseconds"));
    assert_eq!(encoded.period, 10_000_000);
    assert_eq!(encoded.time_nanos, 1_700_000_000_123_000_000);
    assert_eq!(encoded.duration_nanos, 30_000_000_000);
    assert_eq!(encoded.comment.iter().map(|id| encoded.text(*id)).collect::<Vec<_>>(), ["2 samples were lost"]);
    assert_eq!(encoded.text(encoded.drop_frames), "malloc|_rjem_.*");
    let label = encoded.sample[0].label[0];
    assert_eq!((encoded.text(label.key), encoded.text(label.str)), ("span_name", "a"));
}

#[test]
fn the_program_is_the_first_mapping_even_without_a_sample_in_it() {
    let only_library = profile(vec![sample(&[0x20_0020, Profile::TRUNCATED], 1, &[])]);
    let names: [(u64, &[&str]); 2] = [(0x20_0020, &["inlined", "malloc"]), (Profile::TRUNCATED, &["[truncated]"])];
    let encoded = decode(&Symbolized::new(only_library, resolved(&names)));
    let files: Vec<_> = encoded.mapping.iter().map(|mapping| encoded.text(mapping.filename)).collect();
    assert_eq!(files, ["/opt/program", "/opt/library.so"]);
    let [program, library] = encoded.mapping[..] else { panic!("{files:?}") };
    assert!(!program.has_functions, "nothing of it is known here");
    assert!(library.has_functions && library.has_filenames && library.has_line_numbers && library.has_inline_frames);
    assert_eq!((library.memory_start, library.memory_limit, library.file_offset), (0x20_0000, 0x30_0000, 0x1000));
    assert_eq!(encoded.text(library.build_id), "c0ffee");
    assert_eq!(encoded.location.iter().map(|location| location.mapping_id).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_profile_without_period_has_none() {
    let encoded = decode(&symbolized(Profile { period: None, ..profile(Vec::new()) }));
    assert_eq!((encoded.period_type, encoded.period, encoded.sample.len()), (None, 0, 0));
}

/// The addresses of a sample, their functions, its values and its labels.
type Arrived = (Vec<u64>, Vec<Vec<String>>, Vec<i64>, Vec<(String, String)>);

proptest! {
    #[test]
    fn all_numbers_point_somewhere_and_all_samples_arrive(samples in samples(-3..100_i64)) {
        let symbolized = symbolized(profile(samples.clone()));
        let encoded = decode(&symbolized);
        let unique: HashSet<&String> = encoded.string_table.iter().collect();
        prop_assert_eq!(unique.len(), encoded.string_table.len());
        prop_assert_eq!(encoded.sample.len(), samples.len());

        let mut arrived: Vec<Arrived> = Vec::new();
        for sample in &encoded.sample {
            let locations: Vec<_> = sample.location_id.iter().map(|id| {
                let location = &encoded.location[usize::try_from(*id).unwrap() - 1];
                assert_eq!(location.id, *id);
                assert!(location.mapping_id <= encoded.mapping.len() as u64);
                let names = location.line.iter().map(|line| {
                    let function = encoded.function[usize::try_from(line.function_id).unwrap() - 1];
                    assert_eq!(function.id, line.function_id);
                    assert_eq!(function.system_name, 0);
                    encoded.text(function.name).to_owned()
                });
                (location.address, names.collect())
            }).collect();
            let (stack, names) = locations.into_iter().unzip();
            let text = |id: i64| encoded.text(id).to_owned();
            let labels = sample.label.iter().map(|label| (text(label.key), text(label.str))).collect();
            arrived.push((stack, names, sample.value.clone(), labels));
        }
        let mut sent: Vec<_> = samples.iter().map(|sample| {
            let names = sample.stack.iter().map(|address| {
                symbolized.frames_at(*address).iter().map(|frame| frame.symbol.name.to_string()).collect()
            });
            let labels = sample.labels.iter().map(|(key, text)| ((*key).to_owned(), text.to_string()));
            (sample.stack.to_vec(), names.collect(), sample.values.to_vec(), labels.collect())
        }).collect();
        arrived.sort();
        sent.sort();
        prop_assert_eq!(arrived, sent);
    }

    #[test]
    fn equal_profiles_give_equal_bytes(samples in samples(-3..100_i64).prop_flat_map(|samples| {
        (Just(samples.clone()), Just(samples).prop_shuffle())
    })) {
        let bytes = |samples| symbolized(profile(samples)).to_pprof();
        prop_assert_eq!(bytes(samples.0), bytes(samples.1));
    }
}

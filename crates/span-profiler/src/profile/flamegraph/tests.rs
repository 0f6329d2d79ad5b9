//! Catches pictures that browsers refuse, that reach out, that grow without end, or that run what a span is called.

use std::sync::Arc;

use proptest::prelude::*;
use roxmltree::{Document, ParsingOptions};

use super::LIMIT;
use crate::profile::tests::{profile, sample, samples, symbolized};
use crate::profile::{Profile, Symbolized};
use crate::symbols::{Frame, Location, Resolved, Symbol};

const HOSTILE: &str = "</title><script>alert(1)</script>\"'&amp;\u{0}\u{8}\u{ffff}]]>";

fn svg(symbolized: &Symbolized, title: &str) -> String {
    String::from_utf8(symbolized.flamegraph(title, 0)).unwrap()
}

fn read(svg: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(svg, options).unwrap_or_else(|error| panic!("{error}: {svg}"))
}

fn texts(svg: &str) -> Vec<String> {
    read(svg).descendants().filter(roxmltree::Node::is_text).map(|node| node.text().unwrap().to_owned()).collect()
}

/// What is shown when the pointer is on a frame.
fn frames(svg: &str) -> Vec<String> {
    let document = read(svg);
    let titles = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")));
    titles.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn spans_stand_side_by_side_on_one_ground() {
    let symbolized = symbolized(profile(vec![
        sample(&[0x10_0040, 0x10_0010], 30, &[("span_name", "cpu_loop")]),
        sample(&[0x10_0040, 0x10_0010], 10, &[("span_name", "json 200")]),
        sample(&[0x10_0010], 10, &[]),
        sample(&[], 50, &[("span_name", "# of 7.5")]),
    ]));
    let svg = svg(&symbolized, "CPU of a <service>");
    let frames = frames(&svg);
    for frame in [
        "all (100 count, 100%)",
        "cpu_loop (30 count, 30.00%)",
        "json 200 (10 count, 10.00%)",
        "[no span] (10 count, 10.00%)",
        "#\u{a0}of\u{a0}7.5 (50 count, 50.00%)",
        "program::deep (30 count, 30.00%)",
    ] {
        assert!(frames.contains(&frame.to_owned()), "no {frame} in {frames:?}");
    }
    assert!(texts(&svg).iter().any(|text| text == "CPU of a <service>"));
}

#[test]
fn time_is_shown_in_milliseconds() {
    let symbolized = symbolized(profile(vec![sample(&[0x10_0010], 123, &[])]));
    let svg = String::from_utf8(symbolized.flamegraph("", 1)).unwrap();
    assert!(frames(&svg).contains(&"program::main (1,230 ms, 100.00%)".to_owned()), "{:?}", frames(&svg));
}

#[test]
fn a_profile_without_samples_says_so() {
    let svg = svg(&symbolized(profile(Vec::new())), HOSTILE);
    assert!(svg.len() < 2_000, "{svg}");
    assert!(texts(&svg).iter().any(|text| text == "no samples"));
    assert!(texts(&svg).iter().any(|text| text.starts_with("</title><script>alert(1)")), "{svg}");
    assert!(!svg.contains("<script"), "{svg}");
}

#[test]
fn nothing_is_run_or_fetched() {
    let symbolized = symbolized(profile(vec![sample(&[0x10_0020], 1, &[("span_name", HOSTILE)])]));
    let svg = svg(&symbolized, HOSTILE);
    let document = read(&svg);
    let scripts = document.descendants().filter(|node| node.tag_name().name() == "script").count();
    assert_eq!(scripts, 1, "there is one script: the one that zooms");
    for node in document.descendants() {
        assert!(!matches!(node.tag_name().name(), "image" | "use" | "foreignObject" | "a" | "link"), "{node:?}");
        assert!(node.attributes().all(|attribute| !attribute.name().contains("href")), "{node:?}");
        assert!(!node.text().unwrap_or_default().contains("@import"), "{node:?}");
    }
    for call in ["fetch(", "XMLHttpRequest", "import(", "eval("] {
        assert!(!svg.contains(call), "{call}");
    }
}

#[test]
fn a_difference_shows_growth_and_shrinking() {
    let base = profile(vec![sample(&[0x10_0040], 10, &[]), sample(&[0x20_0010], 30, &[])]);
    let later = profile(vec![sample(&[0x10_0040], 40, &[]), sample(&[0x20_0010], 20, &[])]);
    let frames = frames(&svg(&symbolized(later.minus(&base)), "difference"));
    assert!(frames.contains(&"program::deep (30 count, 75.00%; +75.00%)".to_owned()), "{frames:?}");
    assert!(frames.contains(&"malloc (10 count, 25.00%; -25.00%)".to_owned()), "{frames:?}");
}

/// Stacks without anything in common, as deep as they get.
#[test]
fn the_widest_profile_stays_bounded_and_keeps_its_largest_stack() {
    let name = "module::with::a::long::name::".repeat(4);
    let location = |address: u64| {
        let symbol = Arc::new(Symbol { name: Arc::from(format!("{name}{address}")), file: Arc::from("") });
        Arc::new(Location { frames: Box::new([Frame { symbol, line: 0 }]), mapping: None })
    };
    let stacks: Vec<Vec<u64>> =
        (0..900).map(|stack| (0..128).map(|depth| 10_000 + 128 * stack + depth).collect()).collect();
    let locations = stacks.iter().flatten().map(|address| (*address, location(*address))).collect();
    let mut samples: Vec<_> = stacks.iter().map(|stack| sample(stack, 10, &[])).collect();
    // The others are wide enough to be shown, each for itself.
    samples[899].values[0] = 500;
    let symbolized = Symbolized::new(profile(samples), Resolved { locations, program: None });
    let svg = svg(&symbolized, "wide");
    assert!(svg.len() <= LIMIT, "{} bytes", svg.len());
    assert!(svg.contains(&format!("{name}{}", stacks[899][0])), "the largest stack is not there");
}

#[test]
fn sums_beyond_all_measure_are_scaled() {
    let mut largest = sample(&[0x10_0010], 0, &[]);
    largest.values = Box::new([i64::MAX, 0]);
    let mut other = largest.clone();
    other.stack = [0x20_0010].into();
    let frames = frames(&svg(&symbolized(profile(vec![largest, other])), ""));
    assert!(frames.iter().any(|frame| frame.starts_with("malloc (") && frame.ends_with("50.00%)")), "{frames:?}");
}

proptest! {
    #[test]
    fn every_picture_is_sound_and_equal_profiles_give_equal_ones(samples in samples(-3..100_i64), title: String) {
        let symbolized: Symbolized = symbolized(Profile { samples, ..profile(Vec::new()) });
        let first = svg(&symbolized, &title);
        read(&first);
        prop_assert_eq!(first, svg(&symbolized, &title));
    }
}

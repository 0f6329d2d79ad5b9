//! Catches addresses that get a wrong name or none, caches that forget or grow, and maps that stop the show.

mod elf;

use std::hint::black_box;
use std::sync::Arc;

use proptest::prelude::*;

use super::maps::Regions;
use super::{Cache, LIMIT, Location, Mapping, Resolved, resolve};
use crate::profile::Profile;

mod known {
    use std::hint::black_box;

    /// The line of the call in `outer`, and of the work in `innermost`.
    pub(super) const LINES: (u32, u32) = (line!() + 6, line!() + 20);
    pub(super) const FILE: &str = file!();

    /// Is found by its name.
    #[inline(never)]
    pub(super) fn outer<T>(number: u64, with: T) -> (u64, T) {
        let found = inner(number);
        black_box((found, with))
    }

    /// Becomes a part of `outer`, with a frame of its own.
    #[inline(always)]
    fn inner(number: u64) -> u64 {
        black_box(innermost(number))
    }

    #[inline(always)]
    fn innermost(number: u64) -> u64 {
        let mut sum = number;
        for step in 0..black_box(9) {
            sum = black_box(sum.wrapping_mul(0x9E37_79B9).rotate_left(7) ^ step);
        }
        black_box(sum)
    }
}

/// All that is known of the first bytes of `outer`; safe code can name no address within a function but its first.
fn inside_outer() -> Vec<Arc<Location>> {
    black_box(known::outer(black_box(3), "text"));
    let start = known::outer::<&'static str> as fn(u64, &'static str) -> (u64, &'static str) as usize as u64;
    let found = resolve(start..start + 512);
    (start..start + 512).map(|address| Arc::clone(&found.locations[&address])).collect()
}

fn names(location: &Location) -> Vec<&str> {
    location.frames.iter().map(|frame| &*frame.symbol.name).collect()
}

#[test]
fn a_function_and_what_is_inlined_into_it_are_found_with_file_and_line() {
    let locations = inside_outer();
    let first = locations[0].frames.last().unwrap();
    assert!(first.symbol.name.contains("span_profiler::symbols::tests::known::outer"), "{first:?}");
    assert!(!first.symbol.name.contains("::h"), "a hash is left in {first:?}");
    assert!(first.symbol.file.ends_with(known::FILE), "{first:?}");

    let lines: Vec<(u32, u32)> = locations
        .iter()
        .filter(|location| {
            let names = names(location);
            names.len() == 3
                && names[0].ends_with("::innermost")
                && names[1].ends_with("::inner")
                && names[2].contains("::outer")
        })
        .map(|location| (location.frames[2].line, location.frames[0].line))
        .collect();
    assert!(lines.iter().any(|(call, work)| *call == known::LINES.0 && *work == known::LINES.1), "{lines:?}");
}

#[test]
fn the_program_is_a_mapping_with_a_range() {
    let location = &inside_outer()[0];
    let mapping = location.mapping.as_deref().unwrap();
    let start = known::outer::<&'static str> as fn(u64, &'static str) -> (u64, &'static str) as usize as u64;
    assert!((mapping.start..mapping.limit).contains(&start), "{mapping:?}");
    assert_eq!(&*mapping.file, std::env::current_exe().unwrap().to_str().unwrap());
    assert_eq!(resolve([start]).program.as_deref(), Some(mapping));
}

#[test]
fn closures_generics_and_methods_of_traits_keep_qualified_names() {
    struct Type<T>(T);
    trait Named {
        fn named(&self) -> u64;
    }
    impl<T> Named for Type<T> {
        #[inline(never)]
        fn named(&self) -> u64 {
            black_box(7)
        }
    }
    let named = <Type<u8> as Named>::named as fn(&Type<u8>) -> u64 as usize as u64;
    let closure: fn(u64) -> u64 = |number| black_box(number + 1);
    black_box(<Type<u8> as Named>::named(&Type(black_box(0_u8))) + closure(1));
    let closure = closure as usize as u64;
    let found = resolve([named, closure]);
    let name = |address| found.locations[&address].frames.last().unwrap().symbol.name.to_string();
    assert!(name(named).contains("::Type<") && name(named).ends_with("::named"), "{}", name(named));
    // A closure that becomes a function pointer may be called through a shim of `FnOnce`.
    assert!(name(closure).contains("closure") || name(closure).contains("FnOnce"), "{}", name(closure));
}

#[test]
fn addresses_without_code_get_readable_names() {
    let data = 0x1234_u64.to_be_bytes().to_vec();
    let heap = data.as_ptr() as usize as u64;
    let unmapped = u64::MAX - 7;
    let found = resolve([Profile::TRUNCATED, Profile::OTHER, 7, heap, unmapped]);
    let name = |address| found.locations[&address].frames[0].symbol.name.to_string();
    assert_eq!(name(Profile::TRUNCATED), "[truncated]");
    assert_eq!(name(Profile::OTHER), "[other]");
    assert_eq!(name(7), "[frame 7]");
    assert!(name(heap).starts_with('[') && name(heap).ends_with(']'), "{}", name(heap));
    assert_eq!(name(unmapped), "[0xfffffffffffffff8]");
}

#[test]
fn what_a_library_does_not_name_is_told_by_its_distance_from_the_library() {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("/libc")).collect();
    let ends = |line: &str| {
        let range = line.split(' ').next().unwrap().split_once('-').unwrap();
        (u64::from_str_radix(range.0, 16).unwrap(), u64::from_str_radix(range.1, 16).unwrap())
    };
    let constants = lines.iter().rfind(|line| line.contains(" r--p ") && !line.contains(" 00000000 ")).unwrap();
    let file = constants.rsplit('/').next().unwrap();
    let (start, limit) = ends(constants);
    let found = resolve((start..limit).step_by(0x100)).locations;
    let unnamed: Vec<_> = found.iter().filter(|(_, location)| names(location)[0].starts_with('[')).collect();
    assert!(!unnamed.is_empty(), "all of {constants} has names");
    for (address, location) in unnamed {
        let distance = address - ends(lines[0]).0;
        assert_eq!(names(location), [format!("[{file}+{distance:#x}]")]);
        assert!(location.mapping.as_deref().unwrap().file.ends_with(file));
    }
}

#[test]
fn only_unknown_addresses_are_searched_for() {
    let start = known::outer::<&'static str> as fn(u64, &'static str) -> (u64, &'static str) as usize as u64;
    let mut cache = Cache::new(100);
    let first = cache.resolve(start..start + 40);
    assert_eq!((first.locations.len(), cache.searched), (40, 40));
    let second = cache.resolve((start..start + 50).chain(start..start + 50));
    assert_eq!((second.locations.len(), cache.searched), (50, 50));
    assert!((start..start + 40).all(|address| first.locations[&address] == second.locations[&address]));
    assert!(second.program.is_some());
}

#[test]
fn a_full_cache_starts_again_and_never_holds_more() {
    let start = known::outer::<&'static str> as fn(u64, &'static str) -> (u64, &'static str) as usize as u64;
    let mut cache = Cache::new(10);
    for step in 0..7 {
        let found = cache.resolve(start + 4 * step..start + 4 * step + 4);
        assert_eq!(found.locations.len(), 4);
        assert!(cache.locations.len() <= 10, "{}", cache.locations.len());
        // Texts belong to locations: they are emptied with them.
        assert!(cache.symbols.len() <= 40 && cache.texts.len() <= 80 && cache.mappings.len() <= 10);
    }
    let more_than_fits = cache.resolve(start..start + 100);
    assert_eq!((more_than_fits.locations.len(), cache.locations.len()), (100, 10));
    assert_eq!(super::CACHE.lock().unwrap().limit, LIMIT);
}

#[test]
fn a_program_without_debug_information_still_has_names() {
    let frames = elf::frames_of(elf::without_debug_information);
    assert!(frames.contains("::known::outer") && !frames.contains(known::FILE), "{frames}");
}

#[test]
fn a_program_without_symbols_keeps_its_addresses() {
    let frames = elf::frames_of(elf::without_sections);
    assert!(!frames.contains("outer") && frames.contains("symbols-elf-") && frames.contains("+0x"), "{frames}");
}

#[test]
fn a_program_that_was_deleted_or_replaced_is_still_read() {
    let frames = elf::frames_of_deleted();
    assert!(frames.contains("::known::outer") && frames.contains(known::FILE), "{frames}");
}

#[test]
#[ignore = "is run in changed copies of this program by the tests above"]
fn print_frames() {
    elf::wait_for_parent();
    let loaded = elf::times_loaded();
    let locations = inside_outer();
    assert_eq!(elf::times_loaded(), loaded, "the program's file is still held for its symbols");
    for frame in &locations[0].frames {
        println!("frame {} {} {}", frame.symbol.name, frame.symbol.file, frame.line);
    }
}

#[test]
fn lines_of_maps_are_understood() {
    let text = "\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/dbus-daemon
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f1000000000-7f1000001000 r-xp 00003000 00:20 18  /opt/a b/lib c.so.1 (deleted)
7f2000000000-7f2000002000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";
    let regions = Regions::parse(text);
    let of = |address| regions.find(address).map(|region| (region.name(), region.base, region.offset));
    assert_eq!(of(0x40_0000), Some(("/usr/bin/dbus-daemon", 0x40_0000, 0)));
    assert_eq!(of(0x65_1fff), Some(("/usr/bin/dbus-daemon", 0x40_0000, 0x5_1000)));
    assert_eq!(of(0x65_2000), None);
    assert_eq!(of(0x7f00_0000_0010), Some(("", 0x7f00_0000_0000, 0)));
    assert_eq!(of(0x7f10_0000_0010), Some(("/opt/a b/lib c.so.1", 0x7f0f_ffff_d000, 0x3000)));
    assert!(regions.find(0x7f20_0000_0000).unwrap().is_vdso());
    let deleted = regions.find(0x7f10_0000_0010).unwrap();
    assert_eq!(deleted.file(Some("/usr/bin/dbus-daemon")), None, "another file may have its name by now");
    let program = Some("/opt/a b/lib c.so.1 (deleted)");
    assert_eq!(deleted.file(program).as_deref(), Some("/proc/self/exe".as_ref()));
    assert_eq!(regions.program(Some("/usr/bin/dbus-daemon")).unwrap().start, 0x40_0000);
}

fn line() -> impl Strategy<Value = String> {
    let number = || prop_oneof!["[0-9a-f]{0,17}", Just("ffffffffffffffff".to_owned())];
    prop_oneof![
        ".*",
        (number(), number(), "[rwxps-]{0,5}", number(), "( )*(/.*|\\[.*\\]| )?").prop_map(
            |(start, limit, permissions, offset, path)| format!("{start}-{limit} {permissions} {offset} 0:0 0{path}")
        ),
    ]
}

proptest! {
    #[test]
    fn fuzz_maps(lines in proptest::collection::vec(line(), 0..20), address: u64) {
        let regions = Regions::parse(&lines.join("\n"));
        if let Some(region) = regions.find(address) {
            prop_assert!(region.start <= address && address < region.limit);
            let _ = (region.name(), region.file(Some("/x")), regions.program(Some("/x")));
        }
    }

    #[test]
    fn every_address_gets_a_frame_with_a_name(addresses in proptest::collection::vec(any::<u64>(), 0..50)) {
        let Resolved { locations, .. } = Cache::new(20).resolve(addresses.iter().copied());
        for address in addresses {
            prop_assert!(!locations[&address].frames.is_empty());
            prop_assert!(locations[&address].frames.iter().all(|frame| !frame.symbol.name.is_empty()));
            let inside = |mapping: &Arc<Mapping>| (mapping.start..mapping.limit).contains(&address);
            prop_assert!(locations[&address].mapping.as_ref().is_none_or(inside));
        }
    }
}

//! The search itself, by blazesym.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use blazesym::Pid;
use blazesym::helper::read_elf_build_id;
use blazesym::symbolize::source::{Elf, Process, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};

use super::maps::{Region, Regions, program};
use super::{Cache, Frame, Location};

/// One location for each of the addresses, which are in ascending order.
///
/// Everything that blazesym read is gone when this returns: the symbolizer lives for one batch.
pub(super) fn look_up(addresses: &[u64], cache: &mut Cache) -> Vec<(u64, Location)> {
    let regions = Regions::read();
    let program = program();
    let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
    cache.program = regions.program(program.as_deref()).map(|region| cache.mapping(region));

    let start_of = |address: &u64| regions.find(*address).map(|region| region.start);
    let mut found = Vec::with_capacity(addresses.len());
    for batch in addresses.chunk_by(|one, next| start_of(one) == start_of(next)) {
        let Some(region) = batch.first().and_then(|address| regions.find(*address)) else {
            found.extend(batch.iter().map(|address| (*address, placeholder(*address, None, cache))));
            continue;
        };
        let symbols = symbols(&symbolizer, region, program.as_deref(), batch);
        let mapping = (!region.name().is_empty()).then(|| cache.mapping(region));
        for (index, address) in batch.iter().enumerate() {
            let location = match symbols.get(index) {
                Some(Symbolized::Sym(symbol)) if !symbol.name.is_empty() => {
                    Location { frames: frames(symbol, cache), mapping: mapping.clone() }
                }
                _ => placeholder(*address, Some(region), cache),
            };
            found.push((*address, location));
        }
    }
    found
}

/// Fewer answers than addresses mean that the file could not be read.
fn symbols<'a>(
    symbolizer: &'a Symbolizer,
    region: &Region,
    program: Option<&str>,
    addresses: &[u64],
) -> Vec<Symbolized<'a>> {
    if region.is_vdso() {
        let mut source = Process::new(Pid::Slf);
        (source.debug_syms, source.map_files) = (false, false);
        // Anyone can write a file of that name into the shared folder where it is looked for.
        source.perf_map = false;
        return symbolizer.symbolize(&Source::Process(source), Input::AbsAddr(addresses)).unwrap_or_default();
    }
    let Some(file) = region.file(program) else { return Vec::new() };
    let offsets: Vec<u64> =
        addresses.iter().map(|address| (address - region.start).saturating_add(region.offset)).collect();
    let mut source = Elf::new(file);
    symbolizer.symbolize(&Source::Elf(source.clone()), Input::FileOffset(&offsets)).unwrap_or_else(|_| {
        // Debug information that cannot be read must not cost the names, which are kept elsewhere.
        source.debug_syms = false;
        symbolizer.symbolize(&Source::Elf(source), Input::FileOffset(&offsets)).unwrap_or_default()
    })
}

/// blazesym names the function that has the code first, and then what was inlined into it, level by level.
fn frames(symbol: &Sym<'_>, cache: &mut Cache) -> Box<[Frame]> {
    let inlined = symbol.inlined.iter().rev().filter(|inlined| !inlined.name.is_empty());
    let mut frames: Vec<Frame> =
        inlined.map(|inlined| frame(&inlined.name, inlined.code_info.as_ref(), cache)).collect();
    frames.push(frame(&symbol.name, symbol.code_info.as_deref(), cache));
    frames.into_boxed_slice()
}

fn frame(name: &str, code: Option<&CodeInfo<'_>>, cache: &mut Cache) -> Frame {
    let path = code.map(CodeInfo::to_path);
    let file = path.as_deref().map_or(Cow::Borrowed(""), Path::to_string_lossy);
    cache.frame(name, &file, code.and_then(|code| code.line).unwrap_or(0))
}

/// Readable, and still good for `addr2line`: the file and the distance from where it was loaded.
fn placeholder(address: u64, region: Option<&Region>, cache: &mut Cache) -> Location {
    let region = region.filter(|region| !region.name().is_empty());
    let name = region.map_or_else(
        || format!("[{address:#x}]"),
        |region| {
            let name = region.name();
            let name = name.rsplit('/').next().unwrap_or(name).trim_matches(['[', ']']);
            format!("[{name}+{:#x}]", address.saturating_sub(region.base))
        },
    );
    // Not interned: each placeholder is of one address only, which the cache already holds.
    let symbol = Arc::new(super::Symbol { name: Arc::from(name), file: Arc::from("") });
    Location { frames: Box::new([Frame { symbol, line: 0 }]), mapping: region.map(|region| cache.mapping(region)) }
}

/// In lower-case hex; empty if there is none to be read.
pub(super) fn build_id(region: &Region) -> String {
    let file = region.file(program().as_deref());
    let id = file.and_then(|file| read_elf_build_id(&file).ok().flatten());
    id.as_deref().unwrap_or_default().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

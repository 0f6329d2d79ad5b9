//! Which file each address of this process belongs to: the lines of `/proc/self/maps`.
//!
//! blazesym reads the same lines, but a batch of its own fails as a whole when one file cannot be opened, and it says
//! nothing of where a file starts. So the addresses are sorted into files here.

use std::path::PathBuf;

/// One line: a stretch of addresses with the file behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) limit: u64,
    /// Where in the file the stretch starts.
    pub(super) offset: u64,
    /// Where the file's first byte would be: the number that tools like `addr2line` want subtracted.
    pub(super) base: u64,
    pub(super) executable: bool,
    /// As the kernel writes it, with ` (deleted)` behind the name of a file that is gone; empty without a file.
    path: String,
}

const DELETED: &str = " (deleted)";

impl Region {
    /// The path without the remark of the kernel.
    pub(super) fn name(&self) -> &str {
        self.path.strip_suffix(DELETED).unwrap_or(&self.path)
    }

    pub(super) fn is_vdso(&self) -> bool {
        self.path == "[vdso]"
    }

    /// Whether this is the program itself; `program` is what `/proc/self/exe` points to.
    pub(super) fn is_of(&self, program: Option<&str>) -> bool {
        program.is_some_and(|program| program == self.path)
    }

    /// Where to read the file from. A file that is gone may have been replaced by another one of the same name, whose
    /// symbols would be wrong; only the program itself is still there, behind `/proc/self/exe`.
    pub(super) fn file(&self, program: Option<&str>) -> Option<PathBuf> {
        if !self.path.starts_with('/') {
            None
        } else if !self.path.ends_with(DELETED) {
            Some(PathBuf::from(&self.path))
        } else if self.is_of(program) {
            Some(PathBuf::from("/proc/self/exe"))
        } else {
            None
        }
    }
}

/// All regions in ascending order.
#[derive(Debug, Default)]
pub(super) struct Regions(Vec<Region>);

impl Regions {
    /// Of this process, as of now; none where there is no such file.
    pub(super) fn read() -> Self {
        Self::parse(&std::fs::read("/proc/self/maps").map_or_else(|_| String::new(), |text| lossy(&text)))
    }

    /// Lines that are not understood are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut regions: Vec<Region> = Vec::new();
        for line in text.lines() {
            let Some(mut region) = parse_line(line) else { continue };
            region.base = regions
                .last()
                .filter(|last| !last.path.is_empty() && last.path == region.path && region.offset > 0)
                .map_or_else(|| region.start.saturating_sub(region.offset), |last| last.base);
            regions.push(region);
        }
        regions.sort_by_key(|region| region.start);
        Self(regions)
    }

    pub(super) fn find(&self, address: u64) -> Option<&Region> {
        let after = self.0.partition_point(|region| region.start <= address);
        self.0[..after].last().filter(|region| address < region.limit)
    }

    /// The code of the program itself.
    pub(super) fn program(&self, program: Option<&str>) -> Option<&Region> {
        self.0.iter().find(|region| region.executable && region.is_of(program))
    }
}

/// What `/proc/self/exe` points to, in the same words as in the maps.
pub(super) fn program() -> Option<String> {
    Some(std::fs::read_link("/proc/self/exe").ok()?.to_string_lossy().into_owned())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `start-limit permissions offset device inode path`: the path may hold spaces, its line feeds are written `\012`.
fn parse_line(line: &str) -> Option<Region> {
    let mut rest = line;
    let mut field = || {
        let trimmed = rest.trim_start_matches(' ');
        let (field, behind) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
        rest = behind;
        field
    };
    let (start, limit) = field().split_once('-')?;
    let (start, limit) = (hex(start)?, hex(limit)?);
    let permissions = field();
    let offset = hex(field())?;
    let (_device, _inode) = (field(), field());
    let path = rest.trim_start_matches(' ').replace("\\012", "\n");
    (start < limit).then(|| Region { start, limit, offset, base: 0, executable: permissions.contains('x'), path })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

//! Copies of this very program with parts taken away, and what they still know of themselves.

use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const TEST: &str = "symbols::tests::print_frames";
const GO: &[u8] = b"go\n";

/// What a changed copy of this program prints.
pub(super) fn frames_of(change: fn(&mut [u8])) -> String {
    let copy = Copy::new(change);
    copy.run(|_| {})
}

/// What a copy prints whose file is another one by the time that it looks.
pub(super) fn frames_of_deleted() -> String {
    let copy = Copy::new(|_| {});
    copy.run(|path| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, "no program").unwrap();
    })
}

/// In the copy: nothing is looked for before the parent has changed what it wants to change.
pub(super) fn wait_for_parent() {
    println!("ready");
    let mut line = [0; GO.len()];
    std::io::stdin().read_exact(&mut line).unwrap();
    assert_eq!(line, GO);
}

/// In the copy: how often its file is in memory from its start on. Symbols are read from a second time.
pub(super) fn times_loaded() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/symbols-elf-") && line.contains(" 00000000 ")).count()
}

/// As `strip --strip-debug` does: no reader finds a section whose name is another one.
pub(super) fn without_debug_information(file: &mut [u8]) {
    let names = section_names(file);
    let mut found = 0;
    for index in names.clone() {
        if file[index..names.end].starts_with(b".debug_") {
            file[index..index + 7].copy_from_slice(b".absent");
            found += 1;
        }
    }
    assert!(found > 3, "this program has no debug information to take away");
}

/// Programs run by their segments; symbols and debug information are sections.
pub(super) fn without_sections(file: &mut [u8]) {
    file[0x28..0x30].fill(0); // e_shoff
    file[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
}

fn section_names(file: &[u8]) -> Range<usize> {
    let number = |offset: usize, bytes: usize| {
        file[offset..offset + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let header = number(0x28, 8) + number(0x3e, 2) * number(0x3a, 2);
    let start = number(header + 0x18, 8);
    start..start + number(header + 0x20, 8)
}

struct Copy(PathBuf);

impl Copy {
    fn new(change: fn(&mut [u8])) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let program = std::env::current_exe().unwrap();
        let mut file = std::fs::read(&program).unwrap();
        change(&mut file);
        // Beside the program: folders for temporary files may not allow to run any.
        let name = format!("symbols-elf-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = program.with_file_name(name);
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::fs::metadata(&program).unwrap().permissions()).unwrap();
        Self(path)
    }

    fn run(&self, meanwhile: fn(&PathBuf)) -> String {
        let mut command = Command::new(&self.0);
        command.args(["--exact", TEST, "--ignored", "--nocapture"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut stdout = child.stdout.take().unwrap();
        let mut said = String::new();
        while !said.contains("ready\n") {
            let mut buffer = [0; 256];
            let length = stdout.read(&mut buffer).unwrap();
            assert!(length > 0, "the copy ended early: {said}");
            said.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        meanwhile(&self.0);
        child.stdin.take().unwrap().write_all(GO).unwrap();
        stdout.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        let frames: Vec<&str> = said.lines().filter(|line| line.contains("frame ")).collect();
        assert!(!frames.is_empty(), "{said}");
        frames.join("\n")
    }
}

/// A test that forks while this one writes its copy holds the file open for a moment, and then it cannot be run yet.
fn spawn(command: &mut Command) -> std::process::Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

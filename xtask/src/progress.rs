//! What the user sees while something takes long.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Lines on standard output, with a last one that moves when that is a terminal.
#[derive(Debug)]
pub struct Progress {
    silent: bool,
    terminal: bool,
    moving: bool,
    last_update: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { silent: false, terminal: std::io::stdout().is_terminal(), moving: false, last_update: Instant::now() }
    }
}

impl Progress {
    /// One that says nothing, for commands whose output belongs to another program.
    #[must_use]
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// Says a line for good; it takes the place of a moving one.
    pub fn say(&mut self, text: impl AsRef<str>) {
        if self.silent {
            return;
        }
        self.clear();
        println!("{}", text.as_ref());
        self.last_update = Instant::now();
    }

    /// Shows how far something is: in place on a terminal, elsewhere as a line every 15 seconds.
    pub fn update(&mut self, text: impl AsRef<str>) {
        let every = if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(15) };
        if self.silent || self.last_update.elapsed() < every {
            return;
        }
        self.last_update = Instant::now();
        if self.terminal {
            print!("\r\x1b[2K{}", text.as_ref());
            // A terminal that is gone loses a progress line, nothing else.
            let _ = std::io::stdout().flush();
            self.moving = true;
        } else {
            println!("{}", text.as_ref());
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.moving) {
            print!("\r\x1b[2K");
        }
    }
}

/// A duration for people: tenths of a second below ten, whole ones above, minutes from two on.
#[must_use]
pub fn human(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        assert_eq!(human(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(human(Duration::from_secs(61)), "61 s");
        assert_eq!(human(Duration::from_secs(487)), "8 min 7 s");
    }
}

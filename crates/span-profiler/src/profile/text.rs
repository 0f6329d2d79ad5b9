//! A profile as a page to read.

use std::fmt::Write as _;

use super::{Profile, Sample, Symbolized};

/// A page that people read; what follows behind so much is small, and the other forms have it.
const LIMIT: usize = 8 << 20;

impl Symbolized {
    /// The samples with their values, labels and functions, in the manner of Go's pages with `?debug=1`: the largest
    /// first, by the value type that is shown by default. The page ends behind 8 MiB and says how much is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let profile = &self.profile;
        let mut text = header(profile);
        let count = |sample: &Sample| sample.values.get(profile.default_value).copied().unwrap_or(0);
        let mut samples: Vec<&Sample> = profile.samples.iter().collect();
        samples.sort_by(|a, b| {
            let size = count(b).unsigned_abs().cmp(&count(a).unsigned_abs());
            size.then_with(|| a.stack.cmp(&b.stack)).then_with(|| a.labels.cmp(&b.labels))
        });
        for (index, sample) in samples.iter().enumerate() {
            if text.len() >= LIMIT {
                let _ = writeln!(text, "# {} smaller stacks are left out", samples.len() - index);
                break;
            }
            self.push_sample(&mut text, sample);
        }
        text
    }

    fn push_sample(&self, text: &mut String, sample: &Sample) {
        let values: Vec<String> = sample.values.iter().map(ToString::to_string).collect();
        text.push_str(&values.join(" "));
        text.push_str(" @");
        // Writing to a String cannot fail, here and below.
        for address in &*sample.stack {
            let _ = write!(text, " {address:#x}");
        }
        text.push('\n');
        if !sample.labels.is_empty() {
            let labels: Vec<String> = sample.labels.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
            let _ = writeln!(text, "# labels: {{{}}}", labels.join(", "));
        }
        for address in &*sample.stack {
            for frame in self.frames_at(*address) {
                let _ = write!(text, "#\t{address:#x}\t{}", frame.symbol.name);
                match (&*frame.symbol.file, frame.line) {
                    ("", _) => text.push('\n'),
                    (file, line) => {
                        let _ = writeln!(text, "\t{file}:{line}");
                    }
                }
            }
        }
        text.push('\n');
    }
}

fn header(profile: &Profile) -> String {
    let kinds: Vec<String> = profile.value_types.iter().map(|kind| format!("{}/{}", kind.kind, kind.unit)).collect();
    let totals: Vec<String> = (0..profile.value_types.len())
        .map(|index| {
            let values = profile.samples.iter().map(|sample| sample.values.get(index).copied().unwrap_or(0));
            values.fold(0, i64::saturating_add).to_string()
        })
        .collect();
    let name = profile.value_types.get(profile.default_value).map_or("empty", |kind| kind.kind);
    let mut text = format!(
        "{name} profile: total {} of {} over {:?} in {} stacks\n",
        totals.join(" "),
        kinds.join(" "),
        profile.duration,
        profile.samples.len()
    );
    for comment in &profile.comments {
        let _ = writeln!(text, "# {}", comment.replace('\n', " "));
    }
    text.push('\n');
    text
}

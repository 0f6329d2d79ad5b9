//! What is to be done: texts, what is made of them, and the sum of all results.

use sha2::{Digest as _, Sha256};

/// Words of a text: 14 kB, some 100 µs of work when it is done right.
const WORDS: u64 = 2_000;

/// One task in this many has a text that is cut off, so that there are errors to look at.
const MALFORMED_EVERY: u64 = 50;

/// Three of them make a word.
const SYLLABLES: [&str; 8] = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi"];

/// The 64-bit FNV offset and prime.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

/// What is done with a text; the value of the attribute `operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// All words in lower case.
    Normalize,
    /// How often each word occurs.
    Count,
    /// The distinct words in order.
    Sort,
}

impl Operation {
    /// All operations, in the order in which tasks take turns.
    pub const ALL: [Self; 3] = [Self::Normalize, Self::Count, Self::Sort];

    /// The value of the attribute.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normalize => "normalize",
            Self::Count => "count",
            Self::Sort => "sort",
        }
    }
}

/// Why a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word of the text is cut off")]
pub struct Malformed;

/// One task. Its number decides about everything, so that each worker gets the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Counted from 0.
    pub id: u64,
    /// What is done.
    pub operation: Operation,
}

impl Task {
    /// The task with this number.
    #[must_use]
    pub fn new(id: u64) -> Self {
        let [normalize, count, sort] = Operation::ALL;
        let operation = match id % 3 {
            0 => normalize,
            1 => count,
            _ => sort,
        };
        Self { id, operation }
    }

    /// The text to work on, as it would come from elsewhere.
    // With a frame of its own, as have all functions of workers: a profile names it.
    #[inline(never)]
    #[must_use]
    pub fn text(self) -> String {
        let mut text = String::with_capacity(usize::try_from(WORDS * 7).unwrap_or_default());
        let mut random = self.id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for word in 0..WORDS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let syllable = |shift: u32| SYLLABLES[(random >> shift & 7) as usize];
            if word > 0 {
                text.push(' ');
            }
            // Some begin with a capital letter.
            text.push_str(if random >> 60 == 0 { "Ba" } else { syllable(40) });
            text.push_str(syllable(43));
            text.push_str(syllable(46));
        }
        if self.is_malformed() {
            text.push('\u{1a}');
        }
        text
    }

    /// Whether the text is cut off.
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        self.id % MALFORMED_EVERY == MALFORMED_EVERY - 1
    }
}

/// The word itself, if it is one.
///
/// # Errors
/// When it is cut off.
pub(super) fn checked(word: &str) -> Result<&str, Malformed> {
    if word.bytes().all(|byte| byte.is_ascii_alphabetic()) { Ok(word) } else { Err(Malformed) }
}

/// A checksum that is fed piece by piece (FNV-1a).
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum(u64);

impl Checksum {
    pub(super) fn new() -> Self {
        Self(FNV.0)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV.1);
        }
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}

/// What is kept of a finished task: it proves text and value.
#[inline(never)]
pub(super) fn receipt(text: &str, value: u64) -> u64 {
    let digest = Sha256::new().chain_update(text).chain_update(value.to_le_bytes()).finalize();
    digest.iter().take(8).fold(0, |receipt, byte| receipt << 8 | u64::from(*byte))
}

/// What all tasks have come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Tasks that were done, also those that failed.
    pub processed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Equal for equal results of equal tasks, whatever order they came in.
    pub checksum: u64,
}

impl Ledger {
    /// Enters a result.
    pub(super) fn enter(&mut self, task: Task, receipt: Result<u64, Malformed>) {
        self.processed += 1;
        self.failed += u64::from(receipt.is_err());
        let mut sum = Checksum::new();
        sum.add(&task.id.to_le_bytes());
        sum.add(&receipt.unwrap_or_default().to_le_bytes());
        self.checksum = self.checksum.wrapping_add(sum.value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_each_time_and_differ_by_task() {
        assert_eq!(Task::new(7).text(), Task::new(7).text());
        assert_ne!(Task::new(7).text(), Task::new(8).text());
        let words = |id| Task::new(id).text().split(' ').filter(|word| checked(word).is_ok()).count();
        assert_eq!((words(7), words(49)), (2_000, 1_999));
        assert!(Task::new(0).text().contains(" Ba"));
    }

    #[test]
    fn the_ledger_forgets_the_order_and_nothing_else() {
        let of = |entries: &[(u64, Result<u64, Malformed>)]| {
            let mut ledger = Ledger::default();
            entries.iter().for_each(|(id, receipt)| ledger.enter(Task::new(*id), *receipt));
            ledger
        };
        let ledger = of(&[(1, Ok(5)), (2, Err(Malformed))]);
        assert_eq!((ledger.processed, ledger.failed), (2, 1));
        assert_eq!(ledger, of(&[(2, Err(Malformed)), (1, Ok(5))]));
        assert_ne!(ledger.checksum, of(&[(1, Ok(6)), (2, Err(Malformed))]).checksum);
        assert_ne!(ledger.checksum, of(&[(2, Ok(5)), (1, Err(Malformed))]).checksum);
    }
}

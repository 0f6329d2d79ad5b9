//! The account of one player: which broadcasts it was due, and which came.

/// The numbers of the broadcasts that a player got.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    first: u64,
    last: u64,
    counts: Counts,
}

/// What the account says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Broadcasts of the room while the player was in it; known once it has left.
    pub due: u64,
    /// Broadcasts that came.
    pub received: u64,
    /// Broadcasts that did not come, or not in their order.
    pub lost: u64,
    /// Broadcasts that came again, or too late.
    pub doubled: u64,
}

impl Account {
    /// A player who came after the broadcast with this number.
    #[must_use]
    pub const fn new(joined: u64) -> Self {
        Self { first: joined, last: joined, counts: Counts { due: 0, received: 0, lost: 0, doubled: 0 } }
    }

    /// A broadcast came.
    pub fn broadcast(&mut self, seq: u64) {
        self.counts.received += 1;
        if seq <= self.last {
            self.counts.doubled += 1;
            return;
        }
        self.counts.lost += seq - self.last - 1;
        self.last = seq;
    }

    /// The player left after the broadcast with this number.
    #[must_use]
    pub fn left(mut self, seq: u64) -> Counts {
        self.counts.due = seq.saturating_sub(self.first);
        self.counts.lost += seq.saturating_sub(self.last);
        self.counts
    }

    /// What came until now.
    #[must_use]
    pub const fn so_far(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(joined: u64, got: &[u64], left: u64) -> [u64; 4] {
        let mut account = Account::new(joined);
        got.iter().for_each(|seq| account.broadcast(*seq));
        let Counts { due, received, lost, doubled } = account.left(left);
        [due, received, lost, doubled]
    }

    #[test]
    fn each_number_is_due_once_and_in_order() {
        assert_eq!(counts(7, &[8, 9, 10], 10), [3, 3, 0, 0]);
        assert_eq!(counts(7, &[], 7), [0, 0, 0, 0]);
        assert_eq!(counts(7, &[9, 10], 10), [3, 2, 1, 0]);
        assert_eq!(counts(7, &[8, 9], 10), [3, 2, 1, 0]);
        assert_eq!(counts(7, &[8, 8, 9, 10], 10), [3, 4, 0, 1]);
        assert_eq!(counts(7, &[8, 10, 9], 10), [3, 3, 1, 1]);
        assert_eq!(counts(7, &[7, 8], 8), [1, 2, 0, 1]);
    }
}

//! Who is in which room.
//!
//! One lock for all: what is done under it is counting and putting letters into queues, a microsecond for each player of
//! one room, and nothing that waits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Limits;
use super::mailbox::{Letter, Mailbox};
use super::protocol::{self, Event, Refused};
use crate::names::websocket::{Refusal, Sent};

/// All rooms; one is made with its first player and ends with its last.
#[derive(Debug)]
pub(super) struct Rooms {
    limits: Limits,
    rooms: Mutex<HashMap<String, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    /// Broadcasts so far; each player gets every one between its `joined` and its `left`, in this order.
    seq: u64,
    players: Vec<(u64, Mailbox)>,
}

impl Rooms {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, rooms: Mutex::default() }
    }

    /// Lets a player in, and tells it.
    pub(super) fn join(&self, name: &str, player: u64, mailbox: &Mailbox) -> Result<(), Refused> {
        let mut rooms = self.lock();
        let Limits { players, rooms: max, .. } = self.limits;
        if !rooms.contains_key(name) && rooms.len() >= max {
            let detail = format!("there are {max} rooms, and no more may be: join one of another player");
            return Err(Refused::new(Refusal::TooManyRooms, detail));
        }
        let room = rooms.entry(name.to_owned()).or_default();
        if room.players.len() >= players {
            let detail = format!("{name} has {players} players, and no more may be in it: join another room");
            return Err(Refused::new(Refusal::RoomFull, detail));
        }
        room.players.push((player, mailbox.clone()));
        let text = protocol::joined(name, player, room.seq, room.players.len());
        mailbox.push(Letter { kind: Sent::Joined, text });
        Ok(())
    }

    /// Lets a player go, and tells it if it wants to know.
    pub(super) fn leave(&self, name: &str, player: u64, tell: Option<&Mailbox>) {
        let mut rooms = self.lock();
        let Some(room) = rooms.get_mut(name) else { return };
        room.players.retain(|(id, _)| *id != player);
        if let Some(mailbox) = tell {
            mailbox.push(Letter { kind: Sent::Left, text: protocol::left(name, player, room.seq) });
        }
        if room.players.is_empty() {
            rooms.remove(name);
        }
    }

    /// Gives an event to every player of a room, also to the one who made it; returns to how many. Whose queue is full
    /// is not in the room any more, and makes no events: none.
    pub(super) fn broadcast(&self, name: &str, player: u64, event: &Event) -> Option<usize> {
        let mut rooms = self.lock();
        let room = rooms.get_mut(name)?;
        if !room.players.iter().any(|(id, _)| *id == player) {
            return None;
        }
        room.seq += 1;
        let (kind, text) = (event.kind().message(), event.text(room.seq, player));
        room.players.retain(|(_, mailbox)| mailbox.push(Letter { kind, text: text.clone() }));
        let reached = room.players.len();
        if room.players.is_empty() {
            rooms.remove(name);
        }
        Some(reached)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

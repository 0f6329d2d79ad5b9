//! The messages: JSON objects in text frames, told apart by `kind`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::short;
use crate::names::websocket::{Broadcast, Received, Refusal, Sent};

/// Longest message of a client, in bytes: a full `say` in which every character is escaped.
pub const MAX_MESSAGE_BYTES: usize = 8_192;

/// Longest name of a room or a player, in characters.
const MAX_NAME: usize = 32;

/// Longest text that can be said, in bytes.
const MAX_TEXT: usize = 1_024;

/// Farthest that a player can go, in any direction.
const MAX_COORDINATE: f64 = 1_000.0;

/// Characters of a value that are shown back.
const SHOWN_CHARS: usize = 40;

/// Characters of what the parser says: a value and the rule it breaks.
const SHOWN_ERROR_CHARS: usize = 120;

/// A message of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Enters a room under a name.
    Join(Join),
    /// Goes somewhere.
    Move(Move),
    /// Says something.
    Say(Say),
    /// Leaves the room.
    Leave,
}

/// The fields of `join`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The room, which is made if there is none of this name.
    pub room: String,
    /// The player's name.
    pub name: String,
}

/// The fields of `move`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// To the right.
    pub x: f64,
    /// Up.
    pub y: f64,
}

/// The fields of `say`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// What is said.
    pub text: String,
}

/// The fields of `leave`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {}

/// Why a message was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Out of a closed set.
    pub kind: Refusal,
    /// The value, the rule and the fix.
    pub detail: String,
}

impl Refused {
    /// A refusal with its explanation.
    #[must_use]
    pub fn new(kind: Refusal, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl Message {
    /// Reads a message; its kind is known also when it is refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> (Received, Result<Self, Refused>) {
        let (name, fields) = match split(text) {
            Ok(split) => split,
            Err(refused) => return (Received::Unknown, Err(refused)),
        };
        let kind = Received::ALL.iter().copied().find(|kind| kind.name() == name).unwrap_or(Received::Unknown);
        let message = match kind {
            Received::Join => fields_of(fields, r#"{"kind":"join","room":"lobby","name":"ann"}"#).and_then(join),
            Received::Move => fields_of(fields, r#"{"kind":"move","x":1.5,"y":-2}"#).and_then(movement),
            Received::Say => fields_of(fields, r#"{"kind":"say","text":"hello"}"#).and_then(say),
            Received::Leave => fields_of(fields, r#"{"kind":"leave"}"#).map(|Leave {}| Self::Leave),
            Received::Unknown => {
                let detail =
                    format!("there is no kind {:?}: write join, move, say or leave", short(&name, SHOWN_CHARS));
                Err(Refused::new(Refusal::UnknownKind, detail))
            }
        };
        (kind, message)
    }
}

/// The name of a message's kind, and its other fields.
fn split(text: &str) -> Result<(String, Value), Refused> {
    let invalid = |why: String| {
        let detail = format!("the message {why}: write for example {{\"kind\":\"leave\"}}");
        Refused::new(Refusal::InvalidJson, detail)
    };
    let mut value: Value = serde_json::from_str(text).map_err(|error| invalid(format!("is no JSON ({error})")))?;
    let object = value.as_object_mut().ok_or_else(|| invalid("is no object".to_owned()))?;
    let Some(Value::String(kind)) = object.remove("kind") else {
        return Err(invalid("has no text \"kind\"".to_owned()));
    };
    Ok((kind, value))
}

fn fields_of<T: DeserializeOwned>(fields: Value, example: &str) -> Result<T, Refused> {
    serde_json::from_value(fields).map_err(|error| {
        // It has names and values of the client in it.
        let why = short(&error.to_string(), SHOWN_ERROR_CHARS);
        Refused::new(Refusal::InvalidField, format!("{why}: write for example {example}"))
    })
}

fn join(join: Join) -> Result<Message, Refused> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if !(1..=MAX_NAME).contains(&join.room.chars().count()) || !join.room.chars().all(plain) {
        let detail = format!(
            "room={:?} is not 1 to {MAX_NAME} letters, digits, - _ or .: write for example lobby",
            short(&join.room, SHOWN_CHARS)
        );
        return Err(Refused::new(Refusal::InvalidField, detail));
    }
    if !(1..=MAX_NAME).contains(&join.name.chars().count()) || join.name.chars().any(char::is_control) {
        let detail = format!(
            "name={:?} is not 1 to {MAX_NAME} printable characters: write for example ann",
            short(&join.name, SHOWN_CHARS)
        );
        return Err(Refused::new(Refusal::InvalidField, detail));
    }
    Ok(Message::Join(join))
}

fn movement(to: Move) -> Result<Message, Refused> {
    for (name, value) in [("x", to.x), ("y", to.y)] {
        if value.abs() > MAX_COORDINATE {
            let detail = format!("{name}={value} is not from -{MAX_COORDINATE} to {MAX_COORDINATE}: stay on the field");
            return Err(Refused::new(Refusal::InvalidField, detail));
        }
    }
    Ok(Message::Move(to))
}

fn say(say: Say) -> Result<Message, Refused> {
    if say.text.is_empty() || say.text.len() > MAX_TEXT {
        let bytes = say.text.len();
        let detail = format!("text has {bytes} bytes and not 1 to {MAX_TEXT}: say less at once");
        return Err(Refused::new(Refusal::InvalidField, detail));
    }
    Ok(Message::Say(say))
}

/// What all in a room are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A player went somewhere.
    Moved(Move),
    /// A player said something.
    Said(Say),
}

impl Event {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Broadcast {
        match self {
            Self::Moved(_) => Broadcast::Moved,
            Self::Said(_) => Broadcast::Said,
        }
    }

    /// The message about what `player` did, the `seq`-th of its room.
    #[must_use]
    pub fn text(&self, seq: u64, player: u64) -> Utf8Bytes {
        match self {
            Self::Moved(Move { x, y }) => write(Sent::Moved, &Moved { seq, player, x: *x, y: *y }),
            Self::Said(Say { text }) => write(Sent::Said, &Said { seq, player, text }),
        }
    }
}

#[derive(Serialize)]
struct Moved {
    seq: u64,
    player: u64,
    x: f64,
    y: f64,
}

#[derive(Serialize)]
struct Said<'a> {
    seq: u64,
    player: u64,
    text: &'a str,
}

#[derive(Serialize)]
struct Joined<'a> {
    room: &'a str,
    player: u64,
    seq: u64,
    players: usize,
}

#[derive(Serialize)]
struct Left<'a> {
    room: &'a str,
    player: u64,
    seq: u64,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'static str,
    detail: &'a str,
}

/// To a player who entered: the last broadcast before it, and how many are there now.
#[must_use]
pub fn joined(room: &str, player: u64, seq: u64, players: usize) -> Utf8Bytes {
    write(Sent::Joined, &Joined { room, player, seq, players })
}

/// To a player who left: the last broadcast that it got.
#[must_use]
pub fn left(room: &str, player: u64, seq: u64) -> Utf8Bytes {
    write(Sent::Left, &Left { room, player, seq })
}

/// To a client whose message was refused.
#[must_use]
pub fn error(refused: &Refused) -> Utf8Bytes {
    write(Sent::Error, &Error { error: refused.kind.name(), detail: &refused.detail })
}

/// Puts the kind before the fields.
fn write(kind: Sent, fields: &impl Serialize) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Tagged<'a, T> {
        kind: &'static str,
        #[serde(flatten)]
        fields: &'a T,
    }
    let text = serde_json::to_string(&Tagged { kind: kind.name(), fields });
    text.expect("fields with names of texts and finite numbers can be written").into()
}

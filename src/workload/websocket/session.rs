//! One client: where it is, and what its messages do.
//!
//! A message is a trace, and the broadcast that it makes is another one, linked to it: who looks at one finds the other,
//! and neither grows with the number of players. The connection itself has no span, as it may outlive every decision
//! about what to keep.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

use super::mailbox::{Letter, Mailbox};
use super::protocol::{self, Event, Message, Refused};
use super::rate::Bucket;
use super::{Game, Inner};
use crate::names::attribute;
use crate::names::websocket::{Fault, Received, Refusal, Sent};
use crate::telemetry::websocket::Active;

/// A client and the room that it is in.
#[derive(Debug)]
pub struct Session {
    game: Game,
    player: u64,
    mailbox: Mailbox,
    messages: Bucket,
    /// Messages over the rate that are only told about, refilled with one a second.
    patience: Bucket,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    room: String,
    _active: Active,
}

impl Session {
    pub(super) fn new(game: Game, player: u64, mailbox: Mailbox) -> Self {
        let limits = game.0.limits;
        let (messages, patience) = (Bucket::new(limits.rate, limits.burst), Bucket::new(1, limits.refusals));
        Self { game, player, mailbox, messages, patience, place: None }
    }

    /// Processes a text message of the client; what it gets for it waits in its mail.
    ///
    /// # Errors
    /// When the client has sent too much for too long.
    pub fn receive(&mut self, text: &str) -> Result<(), Fault> {
        let instruments = Arc::clone(&self.game.0.instruments);
        if !self.allowed()? {
            // Neither read nor traced: a flood must not cost more than its bytes.
            instruments.websocket.received(Received::Unknown, text.len());
            let (rate, burst) = (self.game.0.limits.rate, self.game.0.limits.burst);
            let detail = format!("more than {rate} messages a second, {burst} at once: send less");
            self.refuse(&Refused::new(Refusal::RateLimited, detail));
            return Ok(());
        }
        let span = tracing::info_span!(parent: None, "websocket message", otel.kind = "server");
        span.in_scope(|| self.process(text));
        Ok(())
    }

    /// Counts a frame that is no message, such as a ping.
    ///
    /// # Errors
    /// When the client has sent too much for too long.
    pub fn control(&mut self) -> Result<(), Fault> {
        self.allowed().map(|_| ())
    }

    /// Counts a message that ends the connection, unread.
    pub fn unreadable(&self, bytes: usize) {
        self.game.0.instruments.websocket.received(Received::Unknown, bytes);
    }

    fn allowed(&mut self) -> Result<bool, Fault> {
        match self.messages.take(1) {
            true => Ok(true),
            false if self.patience.take(1) => Ok(false),
            false => Err(Fault::RateLimited),
        }
    }

    /// Inside the message's span, which ends after its broadcast.
    fn process(&mut self, text: &str) {
        let started = Instant::now();
        let ids = Context::map_current(|context| context.span().span_context().clone());
        let (kind, message) = Message::read(text);
        let refusal = match message.and_then(|message| self.act(message)) {
            Ok(event) => {
                if let Some(event) = event {
                    let span = tracing::info_span!(parent: None, "websocket broadcast", otel.kind = "producer");
                    span.in_scope(|| self.broadcast(&event, &ids));
                }
                None
            }
            Err(refused) => {
                self.refuse(&refused);
                Some(refused.kind.name())
            }
        };
        let websocket = &self.game.0.instruments.websocket;
        websocket.received(kind, text.len());
        Context::map_current(|context| {
            let span = context.span();
            span.update_name(format!("websocket {}", kind.name()));
            span.set_attribute(KeyValue::new(attribute::KIND, kind.name()));
            if let Some(place) = &self.place {
                span.set_attribute(KeyValue::new(attribute::ROOM, place.room.clone()));
            }
            // No error of the span: it is the client's, as a 400 is.
            if let Some(refusal) = refusal {
                span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, refusal));
            }
        });
        let elapsed = started.elapsed();
        websocket.processing(kind).record(elapsed.as_secs_f64());
        let Inner { recent, message_name, .. } = &*self.game.0;
        recent.push_span(&ids, message_name, elapsed);
    }

    fn act(&mut self, message: Message) -> Result<Option<Event>, Refused> {
        match (message, &self.place) {
            (Message::Join(_), Some(place)) => {
                let detail = format!("this client is in {}: leave it first", place.room);
                Err(Refused::new(Refusal::AlreadyJoined, detail))
            }
            (Message::Join(join), None) => {
                self.game.0.rooms.join(&join.room, self.player, &self.mailbox)?;
                let _active = self.game.0.instruments.websocket.session();
                self.place = Some(Place { room: join.room, _active });
                Ok(None)
            }
            (_, None) => Err(Refused::new(Refusal::NotJoined, "this client is in no room: join one first")),
            (Message::Leave, Some(_)) => {
                if let Some(place) = self.place.take() {
                    self.game.0.rooms.leave(&place.room, self.player, Some(&self.mailbox));
                }
                Ok(None)
            }
            (Message::Move(to), Some(_)) => Ok(Some(Event::Moved(to))),
            (Message::Say(say), Some(_)) => Ok(Some(Event::Said(say))),
        }
    }

    /// Inside the broadcast's span.
    fn broadcast(&self, event: &Event, message: &SpanContext) {
        let Some(place) = &self.place else { return };
        let started = Instant::now();
        // None when its queue was full a moment ago, and its connection ends.
        let Some(reached) = self.game.0.rooms.broadcast(&place.room, self.player, event) else { return };
        let kind = event.kind();
        self.game.0.instruments.websocket.broadcast(kind);
        let context = Context::map_current(|context| {
            let span = context.span();
            span.update_name(format!("websocket broadcast {}", kind.name()));
            span.set_attributes([
                KeyValue::new(attribute::KIND, kind.name()),
                KeyValue::new(attribute::ROOM, place.room.clone()),
                KeyValue::new(attribute::RECIPIENTS, i64::try_from(reached).unwrap_or(i64::MAX)),
            ]);
            if message.is_valid() {
                span.add_link(message.clone(), Vec::new());
            }
            span.span_context().clone()
        });
        let Inner { recent, broadcast_name, .. } = &*self.game.0;
        recent.push_span(&context, broadcast_name, started.elapsed());
    }

    fn refuse(&self, refused: &Refused) {
        self.game.0.instruments.websocket.refused(refused.kind);
        self.mailbox.push(Letter { kind: Sent::Error, text: protocol::error(refused) });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.game.0.rooms.leave(&place.room, self.player, None);
        }
    }
}

//! The kinds that tell the `websocket.*` series apart: closed sets, so that a client cannot make series.

/// Declares an enumeration whose variants have a name, and so an index.
macro_rules! kinds {
    ($(#[$doc:meta])* $type:ident { $($(#[$inner:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$inner])* $variant,)*
        }

        impl $type {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of the attribute `kind`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

kinds! {
    /// What a client sends.
    Received {
        /// It enters a room.
        Join = "join",
        /// It goes somewhere.
        Move = "move",
        /// It says something.
        Say = "say",
        /// It leaves its room.
        Leave = "leave",
        /// Anything else, and what was not even looked at.
        Unknown = "unknown",
    }
}

kinds! {
    /// What the service sends.
    Sent {
        /// To the player who entered.
        Joined = "joined",
        /// To all in the room.
        Moved = "moved",
        /// To all in the room.
        Said = "said",
        /// To the player who left.
        Left = "left",
        /// To the client whose message was refused.
        Error = "error",
    }
}

kinds! {
    /// What is given to all players of a room.
    Broadcast {
        /// A player went somewhere.
        Moved = "moved",
        /// A player said something.
        Said = "said",
    }
}

impl Broadcast {
    /// The message that each player gets.
    #[must_use]
    pub const fn message(self) -> Sent {
        match self {
            Self::Moved => Sent::Moved,
            Self::Said => Sent::Said,
        }
    }
}

kinds! {
    /// Why a message is refused while its connection goes on.
    Refusal {
        /// It is no JSON object with a text `kind`.
        InvalidJson = "invalid_json",
        /// There is no such kind of message.
        UnknownKind = "unknown_kind",
        /// A field is missing, unknown or out of its bounds.
        InvalidField = "invalid_field",
        /// It needs a room, and the client is in none.
        NotJoined = "not_joined",
        /// The client is in a room already.
        AlreadyJoined = "already_joined",
        /// The room has as many players as it may.
        RoomFull = "room_full",
        /// There are as many rooms as there may be.
        TooManyRooms = "too_many_rooms",
        /// The client sends faster than it may.
        RateLimited = "rate_limited",
    }
}

kinds! {
    /// Why a connection was refused or ended other than by its client's wish.
    Fault {
        /// The request was no WebSocket handshake.
        BadHandshake = "bad_handshake",
        /// The page of another site asked.
        OriginNotAllowed = "origin_not_allowed",
        /// There are as many connections as there may be.
        TooManyConnections = "too_many_connections",
        /// A frame broke the protocol.
        ProtocolError = "protocol_error",
        /// A message was longer than it may be.
        MessageTooLarge = "message_too_large",
        /// A message was binary.
        Binary = "binary",
        /// A message was not UTF-8.
        NotUtf8 = "not_utf8",
        /// The client went on sending faster than it may.
        RateLimited = "rate_limited",
        /// The client did not read fast enough.
        SlowClient = "slow_client",
        /// The client answered no ping.
        IdleTimeout = "idle_timeout",
        /// The connection ended without a closing handshake.
        ConnectionLost = "connection_lost",
        /// The client did not let the service close the connection in time when it stopped.
        Cut = "cut",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_called_like_its_message() {
        for kind in Broadcast::ALL {
            assert_eq!(kind.name(), kind.message().name());
        }
    }

    #[test]
    fn the_names_of_a_kind_are_different() {
        let all = |names: Vec<&'static str>| {
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{names:?}");
        };
        all(Received::ALL.iter().map(|kind| kind.name()).collect());
        all(Sent::ALL.iter().map(|kind| kind.name()).collect());
        all(Broadcast::ALL.iter().map(|kind| kind.name()).collect());
        all(Refusal::ALL.iter().map(|kind| kind.name()).collect());
        all(Fault::ALL.iter().map(|kind| kind.name()).collect());
    }
}

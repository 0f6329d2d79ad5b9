//! Whose connections have room: who only holds some must not lock the operator out.

use std::net::IpAddr;

use super::access::Access;

/// Connections at once: some people, some scripts, and the peers.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// Of all other machines together: the rest is for this one.
const MAX_OTHERS: usize = 48;

/// Of one other machine.
const MAX_OF_ONE: usize = 16;

/// Of those that are refused, who are only told so.
const MAX_REFUSED: usize = 4;

/// Whether there is room for a connection from `peer` besides those of the addresses in `open`.
pub(super) fn admits(access: &Access, peer: IpAddr, open: impl Iterator<Item = IpAddr> + Clone) -> bool {
    let refused = |address: IpAddr| access.peer(address).is_err();
    if refused(peer) {
        return open.filter(|address| refused(*address)).count() < MAX_REFUSED;
    }
    peer.is_loopback()
        || open.clone().filter(|address| *address == peer).count() < MAX_OF_ONE
            && open.filter(|address| !address.is_loopback()).count() < MAX_OTHERS
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::config::Diagnostics;

    /// How many connections of these addresses in turn find room, each held open.
    fn held(open: bool, of: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
        let config = Diagnostics {
            listen: SocketAddr::from(([0, 0, 0, 0], 6060)),
            token: None,
            open,
            hosts: Vec::new(),
            peers: Vec::new(),
            peers_named: false,
        };
        let access = Access::new(&config, config.listen);
        let mut held = Vec::new();
        for peer in of {
            if held.len() < MAX_CONNECTIONS && admits(&access, peer, held.iter().copied()) {
                held.push(peer);
            }
        }
        assert!(held.contains(&LOOPBACK), "there is always room for this machine");
        held
    }

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LIMIT: usize = 1_000;

    #[test]
    fn nobody_takes_the_room_of_this_machine() {
        let own = || std::iter::once(LOOPBACK);
        let one = IpAddr::from([10, 0, 0, 1]);
        let many = (0..=255).map(|last| IpAddr::from([10, 0, 0, last]));
        let strangers = (0..=255).map(|last| IpAddr::from([192, 0, 2, last]));
        assert_eq!(held(true, std::iter::repeat_n(one, LIMIT).chain(own())).len(), MAX_OF_ONE + 1);
        assert_eq!(held(true, many.clone().chain(own())).len(), MAX_OTHERS + 1);
        assert_eq!(held(true, strangers.chain(own())).len(), MAX_REFUSED + 1);
        assert_eq!(held(false, many.chain(own())).len(), MAX_REFUSED + 1);
        assert_eq!(held(false, std::iter::repeat_n(LOOPBACK, LIMIT)).len(), MAX_CONNECTIONS);
    }
}

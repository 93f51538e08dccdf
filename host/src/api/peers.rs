//! How many connections each peer has. One that opens all there are and says nothing would keep everybody else waiting.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection of a peer; counted until dropped.
#[derive(Debug)]
pub struct Among {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// One connection more, unless the peer has so many already; zero is no limit.
    pub fn enter(&self, peer: IpAddr, limit: usize) -> Option<Among> {
        let peer = one(peer);
        let mut peers = self.lock();
        let own = peers.get(&peer).copied().unwrap_or(0);
        if limit > 0 && own >= limit {
            return None;
        }
        peers.insert(peer, own + 1);
        Some(Among { peers: self.clone(), peer })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Among {
    fn drop(&mut self) {
        let mut peers = self.peers.lock();
        match peers.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(peers.remove(&self.peer)),
        }
    }
}

/// Whoever has one address of IPv6 has the whole of its /64.
fn one(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_connections_whatever_address_of_its_network_it_uses() {
        let peers = Peers::default();
        let enter = |address: &str, limit| peers.enter(address.parse().unwrap(), limit);
        let held = [enter("2001:db8::1", 2), enter("2001:db8::2", 2)];
        assert!(held.iter().all(Option::is_some) && enter("2001:db8::3", 2).is_none());
        assert!(enter("2001:db8:0:1::1", 2).is_some(), "another network");
        let mapped = enter("::ffff:192.0.2.1", 1);
        assert!(mapped.is_some() && enter("192.0.2.1", 1).is_none(), "one address, written twice");
        assert!(enter("192.0.2.2", 1).is_some() && enter("2001:db8::9", 0).is_some());
        drop((held, mapped));
        assert!(peers.lock().is_empty());
    }
}

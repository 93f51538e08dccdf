//! Where requests may go. An operator's connection goes wherever its file says. One that a tenant makes over the API must
//! not reach the engine's own machine, its neighbours or a cloud's metadata service: its answers are shown to the tenant,
//! and the engine may be trusted by those who trust the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Networks beyond the public ones that tenants' connections may reach.
pub type Networks = Arc<[IpNet]>;

/// Whether a tenant's connection may talk to this address.
pub fn is_allowed(address: IpAddr, also: &[IpNet]) -> bool {
    let address = plain(address);
    is_public(address) || also.iter().any(|network| network.contains(&address))
}

/// An IPv4 address that is written as one of IPv6 is what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address that the network makes of it: mapped, compatible, 6to4, or translated (RFC 6052).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0] if !v6.is_loopback() && !v6.is_unspecified() => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Of the registries of special addresses (RFC 6890 and its additions) everything that is not for the whole internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                // Azure's own, reachable from its machines alone.
                || v4.octets() == [168, 63, 129, 16]
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Global unicast, without documentation, Teredo and the benchmark's; and none of the rest.
            a & 0xe000 == 0x2000 && !(a == 0x2001 && (b == 0xdb8 || b < 0x200)) && !(a == 0x3fff && b < 0x1000)
        }
    }
}

/// Resolves names, and forgets the addresses that are not allowed. Asked at every connect, so that a name cannot be one
/// thing when it is judged and another when it is used.
pub(super) struct Guard(pub Networks);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let also = self.0.clone();
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => found.filter(|address| is_allowed(address.ip(), &also)).collect(),
                // In the log alone: whoever is told apart a name that is not there from one that is hidden learns the
                // names of the engine's network.
                Err(error) => {
                    tracing::info!(name = name.as_str(), "a name of a tenant's connection is not resolved: {error}");
                    Vec::new()
                }
            };
            if allowed.is_empty() {
                return Err(NOT_ALLOWED.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Not which address it was, nor whether there was one: a tenant has no business with what names mean inside the engine's
/// network.
pub(super) const NOT_ALLOWED: &str =
    "it has no address of the public internet, and the operator allows no other (`networks` of [api])";

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, also: &[&str]) -> bool {
        let also: Vec<IpNet> = also.iter().map(|network| network.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &also)
    }

    #[test]
    fn what_is_not_for_the_whole_internet_is_not_reached() {
        for inside in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "168.63.129.16",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "100::1",
            "3fff::1",
        ] {
            assert!(!allowed(inside, &[]), "{inside}");
        }
        for outside in ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1", "2400:3200::1", "::ffff:8.8.8.8"] {
            assert!(allowed(outside, &[]), "{outside}");
        }
    }

    #[test]
    fn an_operator_opens_a_network_and_no_other() {
        assert!(allowed("10.1.2.3", &["10.1.0.0/16"]));
        assert!(allowed("::ffff:10.1.2.3", &["10.1.0.0/16"]), "the same address, written otherwise");
        assert!(!allowed("10.2.0.1", &["10.1.0.0/16"]));
        assert!(allowed("fd12::5", &["fd12::/64"]));
    }
}

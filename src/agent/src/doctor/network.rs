//! The port inward, and the way outward.

use super::Subject;
use super::found::{fault, good};
use super::lanes;
use ipc::Finding;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// What a connection may take; a few addresses of a name are tried.
const PATIENCE: Duration = Duration::from_secs(3);
const ADDRESSES: usize = 3;

pub fn port(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "port";
    let listen = subject.config.api.listen;
    let held = subject.answered || subject.api || lanes::are_held(subject) || has_socket_unit(subject);
    let Some(address) = bound(subject, listen) else {
        return vec![good(CHECK, "the system chooses one when the agent starts")];
    };
    if held {
        return vec![match TcpStream::connect_timeout(&reached(address), PATIENCE) {
            Ok(_) => good(CHECK, format!("{address} takes connections")),
            Err(e) => fault(
                CHECK,
                format!("nobody takes connections at {address}: {e}"),
                "restart the api: `systemctl restart signing-agent-http.socket signing-agent-api`, or `signing-agent run` again",
            ),
        }];
    }
    vec![match TcpListener::bind(address) {
        Ok(_) => good(CHECK, format!("{address} is free for the agent")),
        Err(e) if e.kind() == ErrorKind::AddrInUse => fault(
            CHECK,
            format!("another program listens at {address}"),
            format!("see which: `ss -ltnp 'sport = :{}'`; end it, or give [api] listen another port", address.port()),
        ),
        Err(e) => fault(CHECK, format!("{address}: {e}"), "give [api] listen an address of this machine"),
    }]
}

/// Where the agent listens; `None` where that is not known before it starts.
fn bound(subject: &Subject, listen: SocketAddr) -> Option<SocketAddr> {
    if listen.port() != 0 {
        return Some(listen);
    }
    let told = std::fs::read_to_string(subject.config.state.lanes_dir().join("http")).ok()?;
    told.trim().parse().ok().filter(|_| lanes::are_held(subject))
}

/// Who listens everywhere is reached here.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Then systemd holds the port, whether the api is up or not.
fn has_socket_unit(subject: &Subject) -> bool {
    let here = subject.path == Path::new(config::DEFAULT_PATH) && Path::new("/run/systemd/system").is_dir();
    let active = || {
        let mut systemctl = std::process::Command::new("systemctl");
        systemctl.args(["is-active", "--quiet", "signing-agent-http.socket"]).status().is_ok_and(|end| end.success())
    };
    here && active()
}

/// From this side; whether the courier may go there too, its feed tells.
pub fn backend(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "backend";
    let url = &subject.config.backend.url;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Vec::new() };
    // An IPv6 address stands in brackets there.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.take(ADDRESSES).collect::<Vec<_>>(),
        Err(e) => {
            let remedy = format!("correct [backend] url, or the resolver: `getent hosts {host}`");
            return vec![fault(CHECK, format!("{host} is not found: {e}"), remedy)];
        }
    };
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return vec![good(CHECK, format!("{host} takes connections at port {port}"))],
            Err(e) => last = Some(format!("{address}: {e}")),
        }
    }
    vec![fault(
        CHECK,
        format!("{host} is not reached: {}", last.unwrap_or_else(|| "it has no address".into())),
        "see whether it is up, whether [backend] url is right, and what a firewall and IPAddressAllow= of the courier's unit let through",
    )]
}

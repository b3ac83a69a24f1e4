//! Values and comments that several sections have.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use super::super::address::{Address, RawListen};
use super::super::field::Field;
use super::super::keepalive::{Keepalive, OFF};
use super::super::page::{DEFAULT, quoted};
use super::super::units::format_duration;

pub(super) fn list(values: &[impl Display]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

pub(super) fn duration_or_off(limit: Option<Duration>) -> String {
    limit.map_or_else(|| quoted(OFF), |time| quoted(format_duration(time)))
}

pub(super) fn probes_or_off(probes: Option<Keepalive>) -> String {
    probes.map_or_else(|| quoted(OFF), |probes| probes.to_string())
}

pub(super) fn file(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| quoted(path.display()))
}

/// The comment of a value that has a default.
pub(super) fn unwritten<T>(field: &Field<T>) -> Option<String> {
    field.get().is_none().then(|| DEFAULT.to_owned())
}

pub(super) fn listen_host(listen: &RawListen) -> Option<String> {
    match listen {
        RawListen::Address(address) => host(address),
        RawListen::Descriptor(_) | RawListen::Systemd(_) | RawListen::Unix(_) => None,
    }
}

fn host(address: &Address) -> Option<String> {
    match address {
        Address::Host { host, port } => Some(format!("{host}:{port}")),
        Address::Ip(_) | Address::Unix(_) => None,
    }
}

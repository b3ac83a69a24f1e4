//! Values and comments that several sections have.

use std::fmt::Display;
use std::path::PathBuf;

use super::super::address::{Address, RawListen};
use super::super::field::Field;
use super::super::page::{DEFAULT, quoted};

pub(super) fn list(values: &[impl Display]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
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

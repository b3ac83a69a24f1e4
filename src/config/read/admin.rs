//! Reads section `[admin]`.

use std::path::PathBuf;

use super::super::address::{RawListen, parse_admin};
use super::super::admin::{RawAdmin, check_socket_len, parse_page};
use super::super::error::Diagnostics;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section.
pub(super) fn read_admin(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<RawAdmin> {
    let table = value::table(out, entry, "[admin]")?;
    let mut section = Section::open(out, Kind::Admin, "[admin]", table);
    Some(RawAdmin {
        span: entry.span.clone(),
        listen: section.take("listen", |out, entry| {
            let parse = |text: &str| parse_admin(text).map(RawListen::Address);
            value::parsed(out, entry, parse)
        }),
        socket: section.take("socket", |out, entry| {
            read_socket(out, entry, "socket", "/run/ringway/admin.sock")
        }),
        haproxy_socket: section.take("haproxy_socket", |out, entry| {
            read_socket(out, entry, "haproxy_socket", "/run/ringway/haproxy.sock")
        }),
        socket_group: section.take("socket_group", value::string),
        token_file: section.take("token_file", |out, entry| {
            value::file_path(out, entry, "/etc/ringway/token")
        }),
        read_only: section.take("read_only", value::boolean),
        page: section.take("page", |out, entry| value::parsed(out, entry, parse_page)),
    })
}

fn read_socket(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    key: &str,
    example: &str,
) -> Read<PathBuf> {
    let path = value::file_path(out, entry, example)?;
    match check_socket_len(&path, &format!("the path of `{key}`")) {
        Ok(()) => Some(path),
        Err(problem) => {
            out.error(entry.span.clone(), problem);
            None
        }
    }
}

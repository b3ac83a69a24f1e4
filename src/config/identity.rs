//! `user` and `group` of `[global]`: as whom the process serves, once it has what only root may have.
//!
//! The keys belong together, so their reader, their check and their part of the configuration are here. It
//! asks the system's user database, and nothing else.

use nix::unistd;

use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten};

/// A user and a group of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `user` as it was written.
    pub user: String,
    /// `group` as it was written; `None`: the user's own.
    pub group: Option<String>,
    /// The number of the user.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
}

/// A group of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As it was written.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// What an operator wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct RawIdentity {
    pub user: Field<String>,
    pub group: Field<String>,
}

/// Finds the numbers; `None`: there is no `user`, or something was reported.
pub(super) fn validate_identity(out: &mut Diagnostics, raw: &RawIdentity) -> Option<Identity> {
    if let (Field::Absent, Some(group)) = (&raw.user, raw.group.written()) {
        let problem = Problem::new("`group` without `user`", "add user = \"ringway\"");
        out.error(group.span(), problem);
    }
    let user = raw.user.written()?;
    let mut report = |span: Span, problem| out.error(span, problem);
    let found = find_user(user.get_ref())
        .map_err(|problem| report(user.span(), problem))
        .ok();
    // Both are looked up before the first unknown one ends it.
    let group = raw.group.written().map(|group| {
        find_group(group.get_ref())
            .map_err(|problem| report(group.span(), problem))
            .ok()
    });
    let found = found?;
    let gid = group.unwrap_or(found.gid);
    if gid.is_none() && group.is_none() {
        let title = format!("user {} is not in this host's list of users", found.uid);
        report(
            user.span(),
            Problem::new(title, "add its group = \"GROUP\""),
        );
    }
    Some(Identity {
        user: user.get_ref().clone(),
        group: raw.group.get().cloned(),
        uid: found.uid,
        gid: gid?,
    })
}

/// Finds the number of a group; `None`: none was written, or something was reported.
pub(super) fn validate_group(out: &mut Diagnostics, raw: &Field<String>) -> Option<Group> {
    let written = raw.written()?;
    let name = written.get_ref().clone();
    let gid = find_group(&name).map_err(|problem| out.error(written.span(), problem));
    Some(Group {
        name,
        gid: gid.ok()?,
    })
}

struct Found {
    uid: u32,
    /// `None`: the number of a user that the database does not have.
    gid: Option<u32>,
}

/// By name, or by number if there is no such name.
fn find_user(name: &str) -> Result<Found, Problem> {
    let by_name = unistd::User::from_name(name).map_err(|error| unreadable("user", name, error))?;
    if let Some(user) = by_name {
        return Ok(Found {
            uid: user.uid.as_raw(),
            gid: Some(user.gid.as_raw()),
        });
    }
    let uid = number(name).ok_or_else(|| {
        Problem::new(
            format!("there is no user `{}` on this host", shorten(name)),
            "make it (`useradd --system ringway`), or name another one",
        )
    })?;
    let by_number = unistd::User::from_uid(unistd::Uid::from_raw(uid))
        .map_err(|error| unreadable("user", name, error))?;
    let gid = by_number.map(|user| user.gid.as_raw());
    Ok(Found { uid, gid })
}

fn find_group(name: &str) -> Result<u32, Problem> {
    let by_name =
        unistd::Group::from_name(name).map_err(|error| unreadable("group", name, error))?;
    by_name
        .map(|group| group.gid.as_raw())
        .or_else(|| number(name))
        .ok_or_else(|| {
            Problem::new(
                format!("there is no group `{}` on this host", shorten(name)),
                "make it (`groupadd --system ringway`), or name another one",
            )
        })
}

/// The number that a text is; the largest one means "no user" to the kernel.
fn number(text: &str) -> Option<u32> {
    let number = text.parse().ok()?;
    (number != u32::MAX && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

fn unreadable(what: &str, name: &str, error: nix::errno::Errno) -> Problem {
    Problem::new(
        format!("cannot look {what} `{}` up: {error}", shorten(name)),
        "write its number",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_have_names_or_numbers() {
        let root = find_user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, Some(0)));
        assert_eq!(find_user("0").unwrap().gid, Some(0));
        let unknown = find_user("4294967294").unwrap();
        assert_eq!((unknown.uid, unknown.gid), (u32::MAX - 1, None));
        assert_eq!(find_group("root").unwrap(), 0);
        assert_eq!(find_group("12345").unwrap(), 12_345);
        for wrong in ["", "+1", "-1", "4294967295", "no such name", "\u{1b}[2J"] {
            assert!(
                find_user(wrong).is_err() && find_group(wrong).is_err(),
                "{wrong:?}"
            );
        }
    }
}

//! Whether a shared cache might keep an answer, and give our cookie to everyone.
//!
//! After RFC 9111, section 3, with its doubts resolved towards yes: one `Cache-Control: private` too
//! many costs a little time, one too few sends strangers to the same server, or worse, tells
//! someone's cookie to others.

use super::field::Field;
use super::pairs::{LIST, Pairs};

/// What the fields of an answer say of keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caching {
    /// `no-store` or `private`: no shared cache may.
    forbidden: bool,
    /// For how long it may be kept, or by whom: whatever its status and method.
    allowed: bool,
}

impl Caching {
    /// Takes a line of Cache-Control or Expires.
    pub fn field(&mut self, field: Field, value: &[u8]) {
        if field == Field::Expires {
            self.allowed = true;
            return;
        }
        for directive in Pairs::of(value, LIST) {
            let is = |name: &str| directive.name.eq_ignore_ascii_case(name.as_bytes());
            // With a value `private` is only about the fields that are named in it.
            let is_private = is("private") && directive.value.is_none();
            self.forbidden |= is_private || is("no-store");
            self.allowed |= is("public") || is("max-age") || is("s-maxage");
        }
    }

    /// Whether a shared cache may keep an answer of this status to a request of this method.
    ///
    /// Without a word about it those to GET and HEAD may be kept whose status is cacheable by
    /// default (RFC 9110, section 15.1). So may 304: caches take over its fields. `no-cache` forbids
    /// nothing here, since it lets caches keep what they ask about again.
    pub fn may_be_shared(self, status: u16, method: &[u8]) -> bool {
        let by_status = matches!(
            status,
            200 | 203 | 204 | 206 | 300 | 301 | 304 | 308 | 404 | 405 | 410 | 414 | 501
        );
        let by_default = by_status && matches!(method, b"GET" | b"HEAD");
        status != 101 && !self.forbidden && (by_default || self.allowed)
    }
}

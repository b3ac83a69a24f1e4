//! Has the library look at bytes, and keeps what it said in a form that can be compared.

use ringway::logic::http::{
    Refusal, RequestScan, ResponseEdit, ResponseScan, scan_request, scan_response,
};
use std::fmt;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Partial,
    Refused(Refusal),
    Whole(Box<WholeRequest>),
}

#[derive(Clone, PartialEq, Eq)]
pub struct WholeRequest {
    pub head: Vec<u8>,
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub cookie: Option<Vec<u8>>,
    pub through_proxy: bool,
    pub upgrade: bool,
    /// As the server gets it.
    pub rewritten: Vec<u8>,
    /// The same with `Connection: close`.
    pub closing: Vec<u8>,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Partial,
    Opaque,
    Interim(usize),
    Whole(Box<WholeResponse>),
}

#[derive(Clone, PartialEq, Eq)]
pub struct WholeResponse {
    pub head: Vec<u8>,
    pub status: u16,
    /// As the client gets it.
    pub rewritten: Vec<u8>,
    pub removed_cookie: bool,
}

impl fmt::Debug for WholeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cookie = self.cookie.as_ref().map(|value| value.escape_ascii());
        writeln!(f, "request, cookie {:?}", cookie.map(|c| c.to_string()))?;
        writeln!(f, "proxy {}, upgrade {}", self.through_proxy, self.upgrade)?;
        writeln!(f, "method    {}", self.method.escape_ascii())?;
        writeln!(f, "target    {}", self.target.escape_ascii())?;
        writeln!(f, "head      {}", self.head.escape_ascii())?;
        writeln!(f, "rewritten {}", self.rewritten.escape_ascii())?;
        write!(f, "closing   {}", self.closing.escape_ascii())
    }
}

impl fmt::Debug for WholeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, removed {}", self.status, self.removed_cookie)?;
        writeln!(f, "head      {}", self.head.escape_ascii())?;
        write!(f, "rewritten {}", self.rewritten.escape_ascii())
    }
}

/// How a request is looked at.
#[derive(Clone, Debug)]
pub struct RequestSetting {
    pub cookie: Option<String>,
    pub head_max: u32,
}

/// How an answer is looked at and edited.
#[derive(Clone, Debug)]
pub struct ResponseSetting {
    pub cookie: Option<String>,
    pub set_cookie: Option<String>,
    pub close: bool,
    pub method: String,
    pub head_max: u32,
}

/// What we make of a request whose bytes come in pieces that end at `ends`, the last one with it.
pub fn request(bytes: &[u8], ends: impl Iterator<Item = usize>, set: &RequestSetting) -> Request {
    let mut searched = 0;
    for end in ends {
        let piece = &bytes[..end];
        match scan_request(piece, &mut searched, set.head_max, set.cookie.as_deref()) {
            RequestScan::Partial => {
                // What was searched is not searched again, except for a CR at the end.
                let waits = piece.ends_with(b"\r") as usize;
                assert_eq!(searched as usize, piece.len() - waits);
            }
            RequestScan::Refused(refusal) => return Request::Refused(refusal),
            RequestScan::Whole(head) => {
                let rewrite = |close| {
                    let mut out = b"left over".to_vec();
                    let changed = head.rewrite(close, &mut out);
                    assert_eq!(changed, !out.is_empty(), "left empty if nothing differs");
                    assert_ne!(out, head.head, "told as changed, and is not");
                    if changed { out } else { head.head.to_vec() }
                };
                return Request::Whole(Box::new(WholeRequest {
                    head: head.head.to_vec(),
                    method: head.method.to_vec(),
                    target: head.target.to_vec(),
                    cookie: head.cookie.map(<[u8]>::to_vec),
                    through_proxy: head.through_proxy,
                    upgrade: head.upgrade,
                    rewritten: rewrite(false),
                    closing: rewrite(true),
                }));
            }
        }
    }
    Request::Partial
}

/// What we make of an answer whose bytes come in pieces that end at `ends`.
pub fn response(
    bytes: &[u8],
    ends: impl Iterator<Item = usize>,
    set: &ResponseSetting,
) -> Response {
    let mut searched = 0;
    for end in ends {
        let piece = &bytes[..end];
        match scan_response(piece, &mut searched, set.head_max) {
            ResponseScan::Partial => {
                assert!(searched == 0 && piece.len() < 13 || searched as usize == piece.len());
            }
            ResponseScan::Opaque => return Response::Opaque,
            ResponseScan::Interim { len } => return Response::Interim(len as usize),
            ResponseScan::Whole(head) => {
                let edit = ResponseEdit {
                    cookie: set.cookie.as_deref(),
                    set_cookie: set.set_cookie.as_deref(),
                    close: set.close,
                    method: set.method.as_bytes(),
                };
                let mut out = b"left over".to_vec();
                let done = head.rewrite(&edit, &mut out);
                assert_eq!(
                    done.changed,
                    !out.is_empty(),
                    "left empty if nothing differs"
                );
                assert_ne!(out, head.head, "told as changed, and is not");
                assert!(done.changed || !done.removed_cookie);
                return Response::Whole(Box::new(WholeResponse {
                    head: head.head.to_vec(),
                    status: head.status,
                    rewritten: if done.changed {
                        out
                    } else {
                        head.head.to_vec()
                    },
                    removed_cookie: done.removed_cookie,
                }));
            }
        }
    }
    Response::Partial
}

//! The rules one by one; the heads that real programs send are in `tests/http_heads`.

use super::*;

fn scan<'b>(bytes: &'b [u8], cookie: &str) -> RequestScan<'b> {
    scan_request(bytes, &mut 0, 16 * 1024, Some(cookie))
}

fn whole(bytes: &[u8]) -> RequestHead<'_> {
    match scan(bytes, "SRV") {
        RequestScan::Whole(head) => head,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

#[test]
fn a_plain_request() {
    let bytes = b"GET /a?b HTTP/1.1\r\nHost: x\r\nCookie: a=1; SRV=B; c=2\r\n\r\nbody";
    let head = whole(bytes);
    assert_eq!(head.head.len(), bytes.len() - b"body".len());
    assert_eq!((head.method, head.target), (&b"GET"[..], &b"/a?b"[..]));
    assert_eq!(head.cookie, Some(&b"B"[..]));
    assert!(!head.through_proxy && !head.upgrade);
    let mut out = b"old".to_vec();
    assert!(head.rewrite(false, &mut out));
    assert_eq!(
        out.escape_ascii().to_string(),
        "GET /a?b HTTP/1.1\\r\\nHost: x\\r\\nCookie: a=1; c=2\\r\\n\\r\\n"
    );
    assert!(head.rewrite(true, &mut out));
    assert_eq!(
        out.escape_ascii().to_string(),
        "GET /a?b HTTP/1.1\\r\\nHost: x\\r\\nCookie: a=1; c=2\\r\\nConnection: close\\r\\n\\r\\n"
    );
}

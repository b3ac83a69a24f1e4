//! How the parts fit for a caller; the rules, one by one, and the heads that real programs send
//! are in `tests/http_heads`.

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

#[test]
fn the_address_of_a_client_stands_in_one_line() {
    let scanned = |bytes| {
        let RequestScan::Whole(head) = scan_request(bytes, &mut 0, 1024, None) else {
            panic!("{}", bytes.escape_ascii());
        };
        head
    };
    let rewritten = |bytes, append, client: &str| {
        let client = client.parse().unwrap();
        let mut out = Vec::new();
        let forwarded = Forwarded { client, append };
        assert!(scanned(bytes).rewrite_for(true, Some(&forwarded), &mut out));
        String::from_utf8(out).unwrap()
    };
    let plain = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let expected =
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::7\r\nConnection: close\r\n\r\n";
    assert_eq!(rewritten(plain, false, "2001:db8::7"), expected);
    assert_eq!(rewritten(plain, true, "2001:db8::7"), expected);
    let several = b"GET / HTTP/1.1\r\nx-forwarded-for: a, b\r\nHost: x\r\nX-Forwarded-For:\r\nX_Forwarded_For: c\r\n\
                    X-Forwarded-FOR: \t d \r\nConnection: close\r\n\r\n";
    let begin = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    assert_eq!(
        rewritten(several, false, "10.0.0.7"),
        format!("{begin}X-Forwarded-For: 10.0.0.7\r\n\r\n")
    );
    assert_eq!(
        rewritten(several, true, "10.0.0.7"),
        format!("{begin}X-Forwarded-For: a, b, d, 10.0.0.7\r\n\r\n")
    );
    // An upgrade keeps its Connection, and has the line nevertheless.
    let upgrade = b"GET / HTTP/1.1\nUpgrade: a\nConnection: upgrade\nX-Forwarded-For: a\n\n";
    assert_eq!(
        rewritten(upgrade, false, "10.0.0.7"),
        "GET / HTTP/1.1\nUpgrade: a\nConnection: upgrade\nX-Forwarded-For: 10.0.0.7\n\n"
    );
    let cookie = b"GET / HTTP/1.1\r\nCookie: SRV=B\r\nX-Forwarded-For: a\r\nA: b\r\n\r\n";
    let (mut out, client) = (Vec::new(), "10.0.0.7".parse().unwrap());
    let forwarded = Forwarded {
        client,
        append: true,
    };
    assert!(whole(cookie).rewrite_for(false, Some(&forwarded), &mut out));
    assert_eq!(
        out,
        b"GET / HTTP/1.1\r\nA: b\r\nX-Forwarded-For: a, 10.0.0.7\r\n\r\n"
    );
}

#[test]
fn each_refusal_has_its_answer() {
    let cases: [(&[u8], Refusal, Option<u16>); 4] = [
        (
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            Refusal::Malformed,
            Some(400),
        ),
        (b"PRI * HTTP/2.0\r\n\r\n", Refusal::Http2, Some(400)),
        (b"\x16\x03\x01", Refusal::Tls, None),
        (&[b'G'; 20], Refusal::TooLong, Some(431)),
    ];
    for (bytes, refusal, status) in cases {
        let scan = scan_request(bytes, &mut 0, bytes.len() as u32, None);
        assert_eq!(scan, RequestScan::Refused(refusal));
        assert_eq!(refusal.status(), status);
    }
}

#[test]
fn a_head_that_goes_on_is_searched_from_where_the_search_ended() {
    let whole = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: SRV=B\r\n\r\n";
    let mut searched = 0;
    for (len, want) in [
        (20, 20),
        (24, 23),
        (whole.len() - 1, whole.len() as u32 - 2),
    ] {
        let scan = scan_request(&whole[..len], &mut searched, 1024, Some("SRV"));
        // A CR is looked at again, since it means nothing without what follows.
        assert_eq!((scan, searched), (RequestScan::Partial, want));
    }
    let RequestScan::Whole(head) = scan_request(whole, &mut searched, 1024, Some("SRV")) else {
        panic!("not whole");
    };
    // Lines that were passed over before are known as well.
    assert_eq!((head.method, head.cookie), (&b"GET"[..], Some(&b"B"[..])));
}

#[test]
fn without_a_sticky_cookie_nothing_is_looked_for() {
    let bytes = b"GET / HTTP/1.1\r\nCookie: SRV=B\r\n\r\n";
    let RequestScan::Whole(head) = scan_request(bytes, &mut 0, 1024, None) else {
        panic!("not whole");
    };
    assert_eq!(head.cookie, None);
    let mut out = b"old".to_vec();
    assert!(!head.rewrite(false, &mut out) && out.is_empty());
}

#[test]
fn an_interim_answer_and_the_final_one() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: SRV=x\r\n\r\n";
    let ResponseScan::Interim { len } = scan_response(bytes, &mut 0, 1024) else {
        panic!("not interim");
    };
    let ResponseScan::Whole(head) = scan_response(&bytes[len as usize..], &mut 0, 1024) else {
        panic!("not whole");
    };
    let edit = ResponseEdit {
        cookie: Some("SRV"),
        set_cookie: Some("SRV=B"),
        close: true,
        method: b"GET",
    };
    let mut out = Vec::new();
    let done = head.rewrite(&edit, &mut out);
    assert!(done.changed && done.removed_cookie);
    let want = "HTTP/1.1 200 OK\r\nSet-Cookie: SRV=B\r\nCache-Control: private\r\n\
                Connection: close\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), want);
    // Without anything to do it is told so.
    let nothing = ResponseEdit {
        cookie: None,
        set_cookie: None,
        close: false,
        method: b"GET",
    };
    assert_eq!(head.rewrite(&nothing, &mut out), Rewritten::default());
    assert!(out.is_empty());
}

#[test]
fn whether_more_of_an_answer_is_to_come() {
    let cases: [(&str, &str, &str, bool); 16] = [
        ("GET", "200 OK\r\nContent-Length: 4", "body", true),
        ("GET", "200 OK\r\nContent-Length: 4, 04", "body", false),
        ("GET", "200 OK\r\nContent-Length: 0", "", true),
        ("GET", "200 OK\r\nContent-Length: 5", "body", false),
        ("GET", "200 OK\r\nContent-Length: x", "body", false),
        ("GET", "200 OK\r\nContent-Length: 4, x", "body", false),
        ("GET", "200 OK\r\nX: y", "body", false),
        (
            "GET",
            "200 OK\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
            true,
        ),
        (
            "GET",
            "200 OK\r\nTransfer-Encoding: chunked",
            "4\r\nbody\r\n",
            false,
        ),
        ("GET", "200 OK\r\nTransfer-Encoding: chunked", "", false),
        ("GET", "200 OK\r\nTransfer-Encoding: gzip", "", false),
        ("HEAD", "200 OK\r\nContent-Length: 5", "", true),
        ("GET", "204 No Content\r\nX: y", "", true),
        ("GET", "304 Not Modified\r\nContent-Length: 5", "", true),
        ("GET", "101 Switching\r\nContent-Length: 0", "", false),
        ("CONNECT", "200 OK\r\nContent-Length: 0", "", false),
    ];
    for (method, head, body, want) in cases {
        let bytes = format!("HTTP/1.1 {head}\r\n\r\n{body}");
        let ResponseScan::Whole(found) = scan_response(bytes.as_bytes(), &mut 0, 1024) else {
            panic!("not whole: {bytes}");
        };
        let is_whole = found.is_whole(method.as_bytes(), body.as_bytes());
        assert_eq!(is_whole, want, "{method} {bytes}");
    }
}

//! What HTTP mode costs in logic for a connection: its first request and the answer.
//!
//! `cargo bench --bench http_heads`; `cargo test --bench http_heads` runs each case once.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ringway::logic::http::{RequestScan, ResponseEdit, ResponseScan, scan_request, scan_response};

fn main() {
    divan::main();
}

const HEAD_MAX: u32 = 16 * 1024;

/// wrk's own head.
const WRK: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// The same with our cookie, as a benchmark of stickiness sends it.
const WRK_COOKIE: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nCookie: SRV=B\r\n\r\n";

/// A page in Chrome, with cookies of analytics around ours.
const CHROME: &str = "GET /cart HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Not_A Brand\";v=\"8\", \"Chromium\";v=\"120\", \"Google Chrome\";v=\"120\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Windows\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://shop.example.com/\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Cookie: _ga=GA1.1.1234567890.1700000000; SRV=hK3xP0q2w9A; JSESSIONID=3F2504E04F8911D39A0C0305E82C3301\r\n\
    \r\n";

const NGINX: &str = "HTTP/1.1 200 OK\r\n\
    Server: nginx/1.24.0\r\n\
    Date: Sun, 05 Jan 2025 10:00:00 GMT\r\n\
    Content-Type: text/html\r\n\
    Content-Length: 615\r\n\
    Last-Modified: Tue, 11 Apr 2023 01:45:34 GMT\r\n\
    Connection: keep-alive\r\n\
    ETag: \"6434bbbe-267\"\r\n\
    Accept-Ranges: bytes\r\n\
    \r\n";

const SPRING_BOOT: &str = "HTTP/1.1 200 \r\n\
    Vary: Origin\r\n\
    Vary: Access-Control-Request-Method\r\n\
    Vary: Access-Control-Request-Headers\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-XSS-Protection: 0\r\n\
    Cache-Control: no-cache, no-store, max-age=0, must-revalidate\r\n\
    Pragma: no-cache\r\n\
    Expires: 0\r\n\
    X-Frame-Options: DENY\r\n\
    Set-Cookie: JSESSIONID=3F2504E04F8911D39A0C0305E82C3301; Path=/; HttpOnly\r\n\
    Content-Type: application/json\r\n\
    Transfer-Encoding: chunked\r\n\
    Date: Sun, 05 Jan 2025 10:00:00 GMT\r\n\
    Keep-Alive: timeout=60\r\n\
    Connection: keep-alive\r\n\
    \r\n";

/// The head of this name.
fn head(case: &str) -> &'static [u8] {
    let head = match case {
        "wrk" => WRK,
        "wrk with cookie" => WRK_COOKIE,
        "Chrome" => CHROME,
        "nginx" => NGINX,
        "Spring Boot" => SPRING_BOOT,
        other => panic!("no head {other}"),
    };
    head.as_bytes()
}

/// Scans a request that came in one piece, and writes it anew; whether it changed.
fn request(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    match scan_request(black_box(bytes), &mut 0, HEAD_MAX, black_box(Some("SRV"))) {
        RequestScan::Whole(head) => black_box(&head).rewrite(false, out),
        other => panic!("{other:?}"),
    }
}

#[divan::bench(args = ["wrk", "wrk with cookie", "Chrome"])]
fn request_in_one_piece(bencher: Bencher<'_, '_>, case: &str) {
    let bytes = head(case);
    let mut out = Vec::with_capacity(4096);
    let changes = case != "wrk";
    bencher
        .counter(BytesCount::of_slice(bytes))
        .bench_local(|| {
            assert_eq!(request(bytes, &mut out), changes);
        });
}

/// A head that a hostile client sends byte by byte: the cost of all scans together.
#[divan::bench(args = ["Chrome"])]
fn request_byte_by_byte(bencher: Bencher<'_, '_>, case: &str) {
    let bytes = head(case);
    bencher
        .counter(BytesCount::of_slice(bytes))
        .bench_local(|| {
            let mut searched = 0;
            let partial = (0..bytes.len())
                .map(|len| scan_request(&bytes[..len], &mut searched, HEAD_MAX, Some("SRV")))
                .filter(|scan| *scan == RequestScan::Partial)
                .count();
            assert_eq!(partial, bytes.len());
            let last = scan_request(bytes, &mut searched, HEAD_MAX, Some("SRV"));
            assert!(matches!(last, RequestScan::Whole(_)));
        });
}

#[divan::bench(args = ["nginx", "Spring Boot"])]
fn response_with_our_cookie(bencher: Bencher<'_, '_>, case: &str) {
    let bytes = head(case);
    let mut out = Vec::with_capacity(4096);
    let edit = ResponseEdit {
        cookie: Some("SRV"),
        set_cookie: Some("SRV=hK3xP0q2w9A; Path=/; HttpOnly; SameSite=Lax"),
        close: false,
        method: b"GET",
    };
    bencher
        .counter(BytesCount::of_slice(bytes))
        .bench_local(|| match scan_response(black_box(bytes), &mut 0, HEAD_MAX) {
            ResponseScan::Whole(head) => {
                assert!(black_box(&head).rewrite(black_box(&edit), &mut out).changed);
            }
            other => panic!("{other:?}"),
        });
}

//! Heads by hand, whole, cut at every byte, and wrong in every way that the specification names.

use super::*;

fn endpoints(client: &str, destination: &str) -> Endpoints {
    Endpoints::new(client.parse().unwrap(), destination.parse().unwrap())
}

/// A head of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut head = SIGNATURE_V2.to_vec();
    head.extend([command, family]);
    head.extend((rest.len() as u16).to_be_bytes());
    head.extend(rest);
    head
}

/// What stands behind the length in a head of `10.0.0.7:4660` to `192.0.2.1:80`.
fn tcp4(tlvs: &[u8]) -> Vec<u8> {
    let addresses = [10, 0, 0, 7, 192, 0, 2, 1, 0x12, 0x34, 0, 80];
    [&addresses[..], tlvs].concat()
}

#[track_caller]
fn whole(bytes: &[u8]) -> (usize, Option<Endpoints>, Vec<u8>) {
    match scan_proxy(bytes) {
        ProxyScan::Whole(head) => (head.len, head.endpoints, head.tlvs.to_vec()),
        other => panic!("{other:?}: {}", bytes.escape_ascii()),
    }
}

#[test]
fn a_head_names_the_client_and_where_it_ends() {
    let v4 = endpoints("10.0.0.7:4660", "192.0.2.1:80");
    let v6 = endpoints("[2001:db8::7]:1", "[::1]:65535");
    let mut tcp6 = Vec::new();
    write_proxy_head(ProxyVersion::V2, Some(&v6), &[], &mut tcp6);
    let mapped = [
        &[0; 10][..],
        &[255; 2],
        &[10, 0, 0, 7],
        &[0; 10],
        &[255; 2],
        &[192, 0, 2, 1],
    ];
    let mapped = [&mapped.concat()[..], &[0x12, 0x34, 0, 80]].concat();
    let cases: [(&[u8], Option<Endpoints>); 16] = [
        (b"PROXY TCP4 10.0.0.7 192.0.2.1 4660 80\r\n", Some(v4)),
        (
            b"PROXY TCP6 2001:DB8::7 0:0:0:0:0:0:0:1 1 65535\r\n",
            Some(v6),
        ),
        (
            b"PROXY TCP6 ::ffff:a00:7 ::ffff:192.0.2.1 4660 80\r\n",
            Some(v4),
        ),
        (b"PROXY UNKNOWN\r\n", None),
        (
            b"PROXY UNKNOWN ffff:f:f:f:f:f:f:ffff ffff::ffff 65535 65535\r\n",
            None,
        ),
        (b"PROXY UNKNOWN \xff\0 anything\r\n", None),
        (&binary(0x21, 0x11, &tcp4(b"")), Some(v4)),
        (&tcp6, Some(v6)),
        (&binary(0x21, 0x21, &mapped), Some(v4)),
        (&binary(0x20, 0x00, b""), None),
        (&binary(0x20, 0xff, b"ignored"), None),
        (&binary(0x20, 0x11, &tcp4(b"\x03")), None),
        (&binary(0x21, 0x00, b"ignored"), None),
        (&binary(0x21, 0x31, &[7; 216]), None),
        (&binary(0x21, 0x12, &tcp4(b"")), None),
        (&binary(0x21, 0x20, b""), None),
    ];
    for (head, expected) in cases {
        for behind in [&b""[..], b"\r\n", b"GET / HTTP/1.1\r\n"] {
            let bytes = [head, behind].concat();
            assert_eq!(whole(&bytes), (head.len(), expected, Vec::new()));
        }
        for cut in 0..head.len() {
            let signature = if head.starts_with(SIGNATURE_V1) {
                5
            } else {
                12
            };
            let expected = ProxyScan::Partial {
                signed: cut >= signature,
            };
            assert_eq!(
                scan_proxy(&head[..cut]),
                expected,
                "{}",
                head.escape_ascii()
            );
        }
    }
}

#[test]
fn what_is_no_head_is_data_from_its_first_other_byte() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROPFIND / HTTP/1.1\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b" PROXY TCP4",
        b"\r\nGET / HTTP/1.1",
        b"\r\n\r\nGET / HTTP/1.1",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"\x16\x03\x01",
    ] {
        assert_eq!(
            scan_proxy(bytes),
            ProxyScan::Absent,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn what_is_wrong_behind_a_signature_is_refused_at_once() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_LEN_MAX - 15));
    assert_eq!(long.len(), LINE_LEN_MAX + 1);
    assert_eq!(
        whole(&long.replacen('x', "", 1).into_bytes()).0,
        LINE_LEN_MAX
    );
    let tlvs = |tlvs: &[u8]| binary(0x21, 0x11, &tcp4(tlvs));
    let cases: [&[u8]; 43] = [
        b"PROXYTCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4\t1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP6 ::1 1.2.3.4 1 1\r\n",
        b"PROXY TCP6 ::1%1 ::1 1 1\r\n",
        b"PROXY TCP6 1::2::3 ::1 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 00 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rx",
        b"PROXY UNKNOWN \n",
        b"PROXY UNKNOW\r\n",
        b"PROXY TCP4 1.2.3.4 \xff 1 1\r\n",
        &[&b"PROXY "[..], &[b'x'; LINE_LEN_MAX - 6]].concat(),
        long.as_bytes(),
        &binary(0x11, 0x11, &tcp4(b""))[..13],
        &binary(0x31, 0x11, &tcp4(b""))[..13],
        &binary(0x22, 0x11, &tcp4(b""))[..13],
        &binary(0x21, 0x11, &tcp4(b"")[..11]),
        &binary(0x21, 0x21, &[0; 35]),
        &binary(0x21, 0x41, &[0; 36]),
        &binary(0x21, 0x13, &tcp4(b"")),
        // A length that is beyond what is taken.
        &binary(0x21, 0x11, &[0; PROXY_HEAD_LEN_MAX - FIXED_LEN + 1])[..16],
        // A TLV without a length, one beyond the end, and a checksum that is too short.
        &tlvs(&[4]),
        &tlvs(&[4, 0, 1]),
        &tlvs(&[3, 0, 3, 0, 0, 0]),
        // A checksum that is wrong.
        &tlvs(&[3, 0, 4, 0, 0, 0, 0]),
    ];
    for bytes in cases {
        assert_eq!(
            scan_proxy(bytes),
            ProxyScan::Malformed,
            "{}",
            bytes.escape_ascii()
        );
    }
    let longest = binary(0x21, 0x00, &[0; PROXY_HEAD_LEN_MAX - FIXED_LEN]);
    assert_eq!(whole(&longest).0, PROXY_HEAD_LEN_MAX);
}

#[test]
fn what_is_written_is_read_and_the_checksum_is_made_anew() {
    let v4 = endpoints("10.0.0.7:4660", "192.0.2.1:80");
    let v6 = endpoints("[2001:db8::7]:1", "[fe80::1]:65535");
    let mixed = endpoints("[::ffff:10.0.0.7]:1", "[::1]:2");
    let mut out = b"something else".to_vec();
    for tlvs in [
        &b""[..],
        b"\x04\0\0",
        b"\x02\0\x01a\x03\0\x04\x01\x02\x03\x04\xe0\0\x02xy",
    ] {
        for endpoints in [v4, v6, mixed] {
            write_proxy_head(ProxyVersion::V2, Some(&endpoints), tlvs, &mut out);
            let (len, read, read_tlvs) = whole(&out);
            assert_eq!((len, read), (out.len(), Some(endpoints)));
            assert_eq!(read_tlvs.len(), tlvs.len());
            if tlvs.len() > 3 {
                // All but the value of the checksum.
                assert_eq!(
                    (&read_tlvs[..7], &read_tlvs[11..]),
                    (&tlvs[..7], &tlvs[11..])
                );
                let last = out.len() - 1;
                out[last] ^= 1;
                assert_eq!(scan_proxy(&out), ProxyScan::Malformed);
            } else {
                assert_eq!(read_tlvs, tlvs);
            }
            write_proxy_head(ProxyVersion::V1, Some(&endpoints), tlvs, &mut out);
            assert_eq!(whole(&out), (out.len(), Some(endpoints), Vec::new()));
        }
    }
    write_proxy_head(ProxyVersion::V1, Some(&v4), b"", &mut out);
    assert_eq!(out, b"PROXY TCP4 10.0.0.7 192.0.2.1 4660 80\r\n");
    write_proxy_head(ProxyVersion::V1, Some(&mixed), b"", &mut out);
    assert_eq!(out, b"PROXY TCP6 ::ffff:a00:7 ::1 1 2\r\n");
    write_proxy_head(ProxyVersion::V1, None, b"\x04\0\0", &mut out);
    assert_eq!(out, b"PROXY UNKNOWN\r\n");
    write_proxy_head(ProxyVersion::V2, None, b"\x04\0\0", &mut out);
    assert_eq!(out, binary(0x20, 0, b""));
}

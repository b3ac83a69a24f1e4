//! TLVs of version 2: a type, a length in two bytes, a value.

use super::TLV_LEN_MIN;

/// The data of the extension with the protocols that the client offers (ALPN), as it was sent.
pub const TLV_ALPN: u8 = 0x01;

/// The name of the server that the client asks for.
pub const TLV_AUTHORITY: u8 = 0x02;

/// Appends one.
pub fn append_tlv(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    debug_assert!(value.len() <= usize::from(u16::MAX));
    out.push(kind);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

/// Appends those of `tlvs`, which are well-formed, that are of none of these types.
pub fn append_tlvs_but(tlvs: &[u8], types: &[u8], out: &mut Vec<u8>) {
    let mut rest = tlvs;
    while let Some([kind, high, low]) = rest.first_chunk::<TLV_LEN_MIN>() {
        let len = TLV_LEN_MIN + usize::from(u16::from_be_bytes([*high, *low]));
        let Some((tlv, others)) = rest.split_at_checked(len) else {
            return;
        };
        if !types.contains(kind) {
            out.extend_from_slice(tlv);
        }
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlvs_are_appended_and_left_out() {
        let mut tlvs = Vec::new();
        append_tlv(TLV_ALPN, b"\x02h2", &mut tlvs);
        append_tlv(0x05, b"", &mut tlvs);
        append_tlv(TLV_AUTHORITY, b"a.example", &mut tlvs);
        assert_eq!(tlvs, b"\x01\0\x03\x02h2\x05\0\0\x02\0\x09a.example");
        let mut kept = vec![9];
        append_tlvs_but(&tlvs, &[TLV_ALPN, TLV_AUTHORITY], &mut kept);
        assert_eq!(kept, b"\x09\x05\0\0");
    }
}

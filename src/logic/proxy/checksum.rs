//! CRC32C, the checksum of a head of version 2 (RFC 9260, Appendix A; Castagnoli's polynomial).

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (POLYNOMIAL & (value & 1).wrapping_neg());
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// The checksum of bytes in which those of `field` count as zero.
pub(super) fn checksum(bytes: &[u8], field: std::ops::Range<usize>) -> u32 {
    let mut crc = u32::MAX;
    for (index, byte) in bytes.iter().enumerate() {
        let byte = if field.contains(&index) { 0 } else { *byte };
        crc = (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4; the last is the check value of CRC catalogues.
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32][..], 0x62a8_ab43),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(checksum(bytes, 0..0), expected);
        }
        assert_eq!(checksum(&[0xff; 32], 0..32), 0x8a91_36aa);
    }
}

//! Times, numbers, names and networks as HAProxy writes them.

use std::net::IpAddr;
use std::time::Duration;

/// A time: a number of milliseconds, or of the unit behind it. What is below a millisecond is rounded up.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let len = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(len);
    let wrong = || format!("`{text}` is no time: write a number with us, ms, s, m, h or d");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "us" => Some(number.div_ceil(1000)),
        "" | "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => return Err(wrong()),
    };
    // HAProxy keeps milliseconds in 31 bits.
    let milliseconds = milliseconds.filter(|value| *value < 1 << 31);
    let milliseconds =
        milliseconds.ok_or(format!("`{text}` is longer than HAProxy takes, 24 days"))?;
    Ok(Duration::from_millis(milliseconds))
}

/// A number within bounds.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(super) fn number(text: &str, max: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number <= max);
    number.ok_or(format!("`{text}` is no number from 0 to {max}"))
}

/// Our name for a proxy or a server: colons, which HAProxy takes, become underscores.
pub(super) fn name(text: &str) -> String {
    const LEN_MAX: usize = 64;
    let valid = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().take(LEN_MAX).map(valid).collect()
}

/// An address or a network of the pattern of an ACL, as we write it: the mask may be one of dots, too.
pub(super) fn network(text: &str) -> Option<String> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match mask {
        None => return Some(address.to_string()),
        Some(mask) => match mask.parse::<std::net::Ipv4Addr>() {
            Ok(mask) => {
                let bits = u32::from(mask);
                (bits.leading_ones() + bits.trailing_zeros() >= 32)
                    .then_some(bits.leading_ones())?
            }
            Err(_) => mask.parse().ok().filter(|prefix| *prefix <= max)?,
        },
    };
    // Bits behind the prefix are none of a network.
    let cleared = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    };
    Some(format!("{cleared}/{prefix}"))
}

/// Bytes as our `send` and `expect` write them.
pub(super) fn literal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text
}

/// The bytes of hexadecimal digits.
pub(super) fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_unit_are_milliseconds() {
        for (text, milliseconds) in [
            ("5000", 5_000),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1500us", 2),
            ("7ms", 7),
            ("0", 0),
        ] {
            assert_eq!(
                time(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "s",
            "5 s",
            "5x",
            "-1",
            "1.5s",
            "25d",
            "99999999999999999999",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_have_masks_of_both_forms() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.0.0.0/255.255.0.0", Some("10.0.0.0/16")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("::/0", Some("::/0")),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/33", None),
            ("www.example.org", None),
        ] {
            assert_eq!(network(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn names_and_literals_are_valid_here() {
        assert_eq!(name("a:b.c-d_e"), "a_b.c-d_e");
        assert_eq!(name(&"x".repeat(70)).len(), 64);
        assert_eq!(literal(b"PING\r\n\x00\\\xff"), "PING\\r\\n\\x00\\\\\\xff");
        assert_eq!(bytes_of_hex("50494e47"), Some(b"PING".to_vec()));
        assert_eq!(
            (bytes_of_hex("5"), bytes_of_hex("zz"), bytes_of_hex("é")),
            (None, None, None)
        );
    }
}

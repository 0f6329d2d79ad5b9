//! Percent-encoding, and decoding that refuses what it cannot decode, for header lists and query strings.

/// Decodes `%XX` sequences.
///
/// # Errors
/// Says what is wrong: a `%` without two hexadecimal digits, or bytes that are not UTF-8.
pub fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
            return Err("has a % that two hexadecimal digits do not follow");
        };
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map_err(|_| "is not UTF-8 after percent-decoding")
}

/// Encodes all but ASCII letters, digits and `-_.`: what comes out breaks out of no address, attribute or shell quotes.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    encoded
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn decodes_and_refuses() {
        assert_eq!(decode("a%20b%2C%c3%A9").as_deref(), Ok("a b,é"));
        assert_eq!(decode("100%25").as_deref(), Ok("100%"));
        for bad in ["%", "%2", "%zz", "a%g0", "%+1"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
        assert!(decode("%ff").is_err());
    }

    proptest! {
        #[test]
        fn fuzz_encoded(text in prop_oneof!["(%[0-9a-fA-F]{2}|[a-z%]){0,20}", ".*"]) {
            if let Ok(decoded) = decode(&text) {
                prop_assert!(decoded.len() <= text.len());
                prop_assert_eq!(decode(&encode(&decoded)), Ok(decoded));
            }
            prop_assert_eq!(decode(&encode(&text)), Ok(text));
        }
    }
}

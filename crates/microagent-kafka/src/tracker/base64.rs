//! Base64 with the alphabet of RFC 4648 and without padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=chunk.len() {
            let index = bits >> (18 - 6 * place) & 0x3f;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// Returns the bytes of a text that [`encode`] wrote.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for character in chunk {
            bits = bits << 6 | value_of(*character)?;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        // A single character has too few bits for a byte.
        let count = chunk.len().checked_sub(1).filter(|count| *count > 0)?;
        if decoded[count..].iter().any(|rest| *rest != 0) {
            return None;
        }
        bytes.extend_from_slice(&decoded[..count]);
    }
    Some(bytes)
}

fn value_of(character: u8) -> Option<u32> {
    let index = ALPHABET.iter().position(|known| *known == character)?;
    u32::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_kept() {
        let examples = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in examples {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["Z", "Zm9vY", "Zg==", "Zm 8", "Zh", "Zm9", "é", "Zm8-"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}

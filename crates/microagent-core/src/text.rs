//! The one place that limits how much of a text from outside is quoted. It does not escape: how a text is shown is decided
//! where it is written.

/// The greatest number of bytes of a text in an error of decoding, a log line of a handler, and the detail of a dead letter.
/// Such texts may come from outside, where a payload, a panic or a channel name may be of any size.
pub const TEXT_LIMIT: usize = 2048;

/// The end of a text, which often says what was expected.
const TAIL: usize = 256;

/// Room for the mark in the middle.
const MARK: usize = 40;

/// Cuts the middle out of a text that is longer than [`TEXT_LIMIT`], and says how long it was.
///
/// ```
/// use microagent_core::{TEXT_LIMIT, shortened};
///
/// assert_eq!(shortened("short"), "short");
/// let long = shortened(format!("invalid type: string {}, expected u64", "x".repeat(1_000_000)));
/// assert!(long.len() <= TEXT_LIMIT && long.ends_with("expected u64"), "{long}");
/// assert!(long.contains("… (1000035 bytes) …"));
/// ```
pub fn shortened(text: impl Into<String>) -> String {
    let text = text.into();
    if text.len() <= TEXT_LIMIT {
        return text;
    }
    let head = &text[..text.floor_char_boundary(TEXT_LIMIT - TAIL - MARK)];
    let tail = &text[text.ceil_char_boundary(text.len() - TAIL)..];
    format!("{head}… ({} bytes) …{tail}", text.len())
}

/// The start of a body, for a log line that must stay short and must not fail on broken text.
pub(crate) fn excerpt(body: &[u8]) -> String {
    const LIMIT: usize = 120;
    if body.len() <= LIMIT {
        return String::from_utf8_lossy(body).into_owned();
    }
    // A few bytes more, so that the character at the limit is whole or left out.
    let start = String::from_utf8_lossy(&body[..body.len().min(LIMIT + 4)]);
    let start = &start[..start.floor_char_boundary(LIMIT)];
    format!("{start}… ({} bytes)", body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "😀".repeat(100_000));
            let short = shortened(text);
            assert!(short.len() <= TEXT_LIMIT, "{}", short.len());
            assert!(short.contains("😀… (") && short.ends_with('😀'), "{short}");
            assert_eq!(shortened(short.clone()), short, "it is cut once");
        }
        let most = "x".repeat(TEXT_LIMIT);
        assert_eq!(shortened(most.clone()), most);
    }

    #[test]
    fn an_excerpt_ends_with_a_whole_character() {
        assert_eq!(excerpt(b"a\xff"), "a\u{fffd}");
        for shift in 0..4 {
            let body = format!("{}{}", "x".repeat(shift), "ü😀".repeat(100));
            let start = excerpt(body.as_bytes());
            assert!(!start.contains('\u{fffd}'), "{start}");
            assert!(start.ends_with(&format!("… ({} bytes)", body.len())));
        }
    }

    #[test]
    fn an_excerpt_of_a_body_of_any_length_ends_at_the_limit() {
        for length in 0..=130 {
            let start = excerpt("x".repeat(length).as_bytes());
            let end = if length > 120 {
                format!("… ({length} bytes)")
            } else {
                String::new()
            };
            assert_eq!(start, "x".repeat(length.min(120)) + &end);
        }
        let broken = [0xff; 121];
        assert!(excerpt(&broken).ends_with("… (121 bytes)"));
    }
}

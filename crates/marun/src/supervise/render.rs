//! The lines of the common log: the name of the member, then its line.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use crate::terminal::{escaped, escaped_but_colors};

/// The key that names the agent in `--log json`.
const AGENT: &str = "agent";

/// The format of the common log.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// `name | line`, for people.
    Text {
        /// The length of the longest name.
        width: usize,
        /// Names are coloured.
        color: bool,
        /// The lines are written to a terminal.
        terminal: bool,
    },
    /// One JSON object per line, for machines.
    Json {
        /// The lines are written to a terminal.
        terminal: bool,
    },
}

impl Format {
    /// Returns a line of the member `name`, whose number is `index`, with its newline.
    pub(crate) fn render(&self, index: usize, name: &str, line: &str) -> String {
        match self {
            Self::Text {
                width,
                color,
                terminal,
            } => {
                let line = match terminal {
                    true => escaped_but_colors(line),
                    false => Cow::Borrowed(line),
                };
                let color = color.then(|| COLORS[index % COLORS.len()]);
                text(*width, color, name, &line)
            }
            Self::Json { terminal: false } => format!("{}\n", json(name, line)),
            Self::Json { terminal: true } => format!("{}\n", escaped(&json(name, line))),
        }
    }
}

fn text(width: usize, color: Option<u8>, name: &str, line: &str) -> String {
    // A width of a format string has at most 16 bits, and a name may be longer.
    let blanks = " ".repeat(width.saturating_sub(name.chars().count()));
    match color {
        None => format!("{name}{blanks} | {line}\n"),
        Some(color) => format!("\x1b[{color}m{name}{blanks} |\x1b[0m {line}\n"),
    }
}

/// Cyan, yellow, green, magenta, blue, and their bright variants.
const COLORS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Returns the line as a JSON object with the name.
///
/// An object gets the name as its first field and otherwise stays the same, byte for byte. Other
/// text, and an object with an `agent` of its own, becomes the field `line`, so that nothing is
/// lost.
fn json(name: &str, line: &str) -> String {
    let name = Value::from(name);
    match fields_of(line) {
        Some("") => format!("{{\"{AGENT}\":{name}}}"),
        Some(fields) => format!("{{\"{AGENT}\":{name},{fields}}}"),
        None => format!("{{\"{AGENT}\":{name},\"line\":{}}}", Value::from(line)),
    }
}

/// Returns the text between the braces of an object without an `agent`.
fn fields_of(line: &str) -> Option<&str> {
    let object: &RawValue = serde_json::from_str(line).ok()?;
    let Keys { has_agent } = serde_json::from_str(line).ok()?;
    let fields = object.get().strip_prefix('{')?.strip_suffix('}')?;
    (!has_agent).then(|| fields.trim_matches([' ', '\t', '\r']))
}

/// The keys of an object. Its values are not decoded, because Rust may have no type for them.
struct Keys {
    has_agent: bool,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;

        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut has_agent = false;
                while let Some((key, _)) = map.next_entry::<&RawValue, IgnoredAny>()? {
                    let decoded = serde_json::from_str::<String>(key.get());
                    has_agent |= decoded.is_ok_and(|key| key == AGENT);
                }
                Ok(Keys { has_agent })
            }
        }

        deserializer.deserialize_map(KeysVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned() {
        let format = Format::Text {
            width: 10,
            color: false,
            terminal: false,
        };
        assert_eq!(format.render(0, "user_agent", "a"), "user_agent | a\n");
        assert_eq!(format.render(1, "marun", ""), "marun      | \n");
    }

    #[test]
    fn a_name_may_be_of_any_length() {
        let format = Format::Text {
            width: 70_001,
            color: false,
            terminal: false,
        };
        let name = "n".repeat(70_000);
        assert_eq!(format.render(0, &name, "x"), format!("{name}  | x\n"));
    }

    #[test]
    fn objects_nested_deep_keep_their_bytes() {
        let line = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let rendered = Format::Json { terminal: false }.render(0, "x", &line);
        assert_eq!(rendered, format!("{{\"agent\":\"x\",{}\n", &line[1..]));
    }

    #[test]
    fn colours_end_before_the_line() {
        let format = Format::Text {
            width: 5,
            color: true,
            terminal: false,
        };
        assert_eq!(format.render(0, "a", "x"), "\x1b[36ma     |\x1b[0m x\n");
        assert_eq!(format.render(10, "a", "x"), "\x1b[36ma     |\x1b[0m x\n");
    }

    #[test]
    fn json_lines_get_the_name_and_others_are_wrapped() {
        let cases = [
            (
                r#"{"level":"INFO","n":1}"#,
                r#"{"agent":"a","level":"INFO","n":1}"#,
            ),
            ("{}", r#"{"agent":"a"}"#),
            (" {\t} ", r#"{"agent":"a"}"#),
            (
                r#"{ "n" : 18446744073709551617, "n": 1e400, "\ud800":"\ud800" }"#,
                r#"{"agent":"a","n" : 18446744073709551617, "n": 1e400, "\ud800":"\ud800"}"#,
            ),
            (
                r#"{"\u0061gent":1}"#,
                r#"{"agent":"a","line":"{\"\\u0061gent\":1}"}"#,
            ),
            ("plain \"text\"", r#"{"agent":"a","line":"plain \"text\""}"#),
            ("[1]", r#"{"agent":"a","line":"[1]"}"#),
            (
                r#"{"agent":"b"}"#,
                r#"{"agent":"a","line":"{\"agent\":\"b\"}"}"#,
            ),
        ];
        for (line, expected) in cases {
            let format = Format::Json { terminal: false };
            assert_eq!(format.render(0, "a", line), format!("{expected}\n"));
        }
    }

    #[test]
    fn control_characters_are_escaped_only_on_a_terminal() {
        let text = |terminal| Format::Text {
            width: 1,
            color: false,
            terminal,
        };
        let json = |terminal| Format::Json { terminal };
        let line = "\x1b[31mred\x1b[2J\u{9b}";
        let cases = [
            (text(false), "a | \x1b[31mred\x1b[2J\u{9b}\n"),
            (text(true), "a | \x1b[31mred\\u001b[2J\\u009b\x1b[0m\n"),
            (
                json(false),
                "{\"agent\":\"a\",\"line\":\"\\u001b[31mred\\u001b[2J\u{9b}\"}\n",
            ),
            (
                json(true),
                "{\"agent\":\"a\",\"line\":\"\\u001b[31mred\\u001b[2J\\u009b\"}\n",
            ),
        ];
        for (format, expected) in cases {
            assert_eq!(format.render(0, "a", line), expected);
        }
    }
}

//! One line of the common log, with the name of who wrote it. It writes nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::terminal::{escaped, escaped_but_colors};

/// The key that names the agent in `--log json`.
const AGENT: &str = "agent";

/// How lines look.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// `name | line`, for people.
    Text {
        /// The length of the longest name.
        width: usize,
        /// Whether names are coloured.
        color: bool,
        /// Whether a terminal shows the lines.
        terminal: bool,
    },
    /// One JSON object per line, for machines.
    Json {
        /// Whether a terminal shows the lines.
        terminal: bool,
    },
}

impl Format {
    /// A line of `name`, the member number `index`, with its newline.
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
            Self::Json { terminal: true } => {
                format!("{}\n", escaped(&json(name, line).to_string()))
            }
        }
    }
}

fn text(width: usize, color: Option<u8>, name: &str, line: &str) -> String {
    match color {
        None => format!("{name:<width$} | {line}\n"),
        Some(color) => format!("\x1b[{color}m{name:<width$} |\x1b[0m {line}\n"),
    }
}

/// Cyan, yellow, green, magenta, blue, and their bright sisters.
const COLORS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// An object gets the name in front; anything else becomes an object. One that has an `agent` of its own is
/// wrapped too, so that neither name is lost.
fn json(name: &str, line: &str) -> Value {
    let mut object = Map::new();
    object.insert(AGENT.to_owned(), name.into());
    match serde_json::from_str::<Map<String, Value>>(line) {
        Ok(fields) if !fields.contains_key(AGENT) => object.extend(fields),
        _ => drop(object.insert("line".to_owned(), line.into())),
    }
    Value::Object(object)
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
    fn only_a_terminal_is_spared_control_characters() {
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

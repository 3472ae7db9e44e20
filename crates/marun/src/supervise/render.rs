//! One line of the common log, with the name of who wrote it. It writes nothing.

use serde_json::{Map, Value};

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
    },
    /// One JSON object per line, for machines.
    Json,
}

impl Format {
    /// A line of `name`, the member number `index`, with its newline.
    pub(crate) fn render(&self, index: usize, name: &str, line: &str) -> String {
        match self {
            Self::Text {
                width,
                color: false,
            } => format!("{name:<width$} | {line}\n"),
            Self::Text { width, color: true } => {
                let color = COLORS[index % COLORS.len()];
                format!("\x1b[{color}m{name:<width$} |\x1b[0m {line}\n")
            }
            Self::Json => format!("{}\n", json(name, line)),
        }
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
        };
        assert_eq!(format.render(0, "user_agent", "a"), "user_agent | a\n");
        assert_eq!(format.render(1, "marun", ""), "marun      | \n");
    }

    #[test]
    fn colours_end_before_the_line() {
        let format = Format::Text {
            width: 5,
            color: true,
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
            assert_eq!(Format::Json.render(0, "a", line), format!("{expected}\n"));
        }
    }
}

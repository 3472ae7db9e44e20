//! The rows of `queue peek` and `queue dead`, as JSON and as cells of a table.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

use humantime::format_rfc3339_millis;
use microagent_core::{Message, header};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::command::single_line;

/// The header of the column of the keys.
pub(super) const KEY: &str = "KEY";

/// The cell of a field that the message does not have.
pub(super) const NONE: &str = "-";

/// The longest cell in characters; the last cell of a row has no limit.
const CELL: usize = 60;

/// A waiting message.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    attempt: u32,
    #[serde(skip_serializing_if = "is_zero")]
    crashes: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Body,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Waiting {
    pub(super) const HEADER: [&str; 4] = ["ID", KEY, "ATTEMPT", "MESSAGE"];

    pub(super) fn of(message: &Message) -> Self {
        Self {
            id: message.id().map(str::to_owned),
            key: message.key().map(str::to_owned),
            attempt: message.attempt(),
            crashes: message.crashes(),
            headers: headers(message),
            body: Body::of(message),
        }
    }
}

impl From<&Waiting> for [String; 4] {
    fn from(row: &Waiting) -> Self {
        [
            cell(row.id.as_deref()),
            cell(row.key.as_deref()),
            row.attempt.to_string(),
            row.body.cell(),
        ]
    }
}

/// A dead letter, with the reason from its headers.
#[derive(Debug, Serialize)]
pub(super) struct DeadLetter {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Absent if another program has put the message there.
    reason: Option<String>,
    detail: Option<String>,
    queue: Option<String>,
    attempts: Option<u64>,
    /// RFC 3339, UTC.
    first_at: Option<String>,
    at: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Body,
}

impl DeadLetter {
    pub(super) const HEADER: [&str; 7] = [
        "ID",
        KEY,
        "DIED (UTC)",
        "REASON",
        "ATTEMPTS",
        "DETAIL",
        "MESSAGE",
    ];

    pub(super) fn of(message: &Message) -> Self {
        let text = |name| message.header(name).map(str::to_owned);
        let at = |name| message.header(name).and_then(instant);
        let attempts = message.header(header::DEAD_ATTEMPTS);
        Self {
            id: message.id().map(str::to_owned),
            key: message.key().map(str::to_owned),
            reason: text(header::DEAD_REASON),
            detail: text(header::DEAD_DETAIL),
            queue: text(header::DEAD_QUEUE),
            attempts: attempts.and_then(|digits| digits.parse().ok()),
            first_at: at(header::DEAD_FIRST_AT),
            at: at(header::DEAD_AT),
            headers: headers(message),
            body: Body::of(message),
        }
    }
}

impl From<&DeadLetter> for [String; 7] {
    fn from(row: &DeadLetter) -> Self {
        // `2026-01-01T12:00:00.000Z` without its fraction.
        let at = row.at.as_deref().and_then(|at| at.get(..19));
        let attempts = row.attempts.map(|attempts| attempts.to_string());
        [
            cell(row.id.as_deref()),
            cell(row.key.as_deref()),
            cell(at.map(|at| at.replace('T', " ")).as_deref()),
            cell(row.reason.as_deref()),
            cell(attempts.as_deref()),
            cell(row.detail.as_deref()),
            row.body.cell(),
        ]
    }
}

/// The body of a message, in the first of these forms that represents it without a loss.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// JSON, byte for byte. If it contains newlines, the white space between its tokens is removed.
    Payload(Box<RawValue>),
    /// UTF-8 that is not valid JSON.
    Text(String),
    /// Other bytes, with two digits per byte.
    Hex(String),
}

impl Body {
    fn of(message: &Message) -> Self {
        let bytes = message.payload();
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Hex(hex(bytes));
        };
        match single_line(text) {
            Ok(json) => Self::Payload(json.into_owned()),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    fn cell(&self) -> String {
        match self {
            Self::Payload(json) => printable(json.get()),
            Self::Text(text) => printable(text),
            Self::Hex(digits) => format!("0x{digits}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Returns the headers without those of a dead letter, which have their own fields.
fn headers(message: &Message) -> BTreeMap<String, String> {
    message
        .headers()
        .filter(|(name, _)| !header::is_of_dead_letter(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Formats milliseconds since the epoch, if they are in the range of the calendar.
fn instant(millis: &str) -> Option<String> {
    let since = Duration::from_millis(millis.parse().ok()?);
    let at = UNIX_EPOCH.checked_add(since)?;
    let end = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    (at < end).then(|| format_rfc3339_millis(at).to_string())
}

/// Returns a cell before the last one. It is cut, because headers may have any length.
fn cell(text: Option<&str>) -> String {
    let Some(text) = text else {
        return NONE.to_owned();
    };
    let start: String = text.chars().take(CELL + 1).collect();
    let shown = printable(&start);
    if shown.chars().count() > CELL {
        shown.chars().take(CELL - 1).chain(['…']).collect()
    } else {
        shown
    }
}

/// Escapes control characters, including newlines.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use microagent_core::DeadReason;

    use super::*;

    fn json(row: &impl Serialize) -> String {
        serde_json::to_string(row).unwrap()
    }

    fn body(bytes: &'static [u8]) -> (String, String) {
        let body = Body::of(&Message::new("jobs", bytes));
        (json(&body), body.cell())
    }

    #[test]
    fn a_body_is_shown_without_a_loss_and_in_one_line() {
        let cases: [(&[u8], &str, &str); 7] = [
            (
                b"{\"b\":\n[18446744073709551617, 1e400]}",
                r#"{"payload":{"b":[18446744073709551617,1e400]}}"#,
                r#"{"b":[18446744073709551617,1e400]}"#,
            ),
            (
                b"{\"b\":\n1,\"b\":\"\\ud800\"}",
                r#"{"payload":{"b":1,"b":"\ud800"}}"#,
                r#"{"b":1,"b":"\ud800"}"#,
            ),
            (
                br#"{"b": 1.0}"#,
                r#"{"payload":{"b": 1.0}}"#,
                r#"{"b": 1.0}"#,
            ),
            (b"[1,\r\n2]", r#"{"payload":[1,2]}"#, "[1,2]"),
            (b"{\n", r#"{"text":"{\n"}"#, r"{\n"),
            (b"\x1b[31m", r#"{"text":"\u001b[31m"}"#, r"\u{1b}[31m"),
            (b"\xff\x00", r#"{"hex":"ff00"}"#, "0xff00"),
        ];
        for (bytes, line, cell) in cases {
            assert_eq!(body(bytes), (line.to_owned(), cell.to_owned()));
        }
    }

    #[test]
    fn a_row_has_the_fields_that_the_driver_knows() {
        let message = Message::new("jobs", "{}");
        assert_eq!(
            json(&Waiting::of(&message)),
            r#"{"attempt":1,"payload":{}}"#
        );
        let message = message.with_id("7").with_crashes(1).with_header("a", "b");
        let row = Waiting::of(&message);
        assert_eq!(
            json(&row),
            r#"{"id":"7","attempt":1,"crashes":1,"headers":{"a":"b"},"payload":{}}"#
        );
        assert_eq!(<[String; 4]>::from(&row), ["7", "-", "1", "{}"]);
        let row = Waiting::of(&Message::new("jobs", "{}").with_key("user 7"));
        assert_eq!(json(&row), r#"{"key":"user 7","attempt":1,"payload":{}}"#);
        assert_eq!(<[String; 4]>::from(&row), ["-", "user 7", "1", "{}"]);
    }

    fn letter(detail: &str) -> DeadLetter {
        let message = Message::new("jobs", "{}")
            .with_attempt(4)
            .with_header("trace", "t")
            .with_first_failure(UNIX_EPOCH + Duration::from_millis(1));
        let now = UNIX_EPOCH + Duration::from_secs(61);
        let headers = header::of_dead_letter(&message, DeadReason::Failed, detail, now);
        let dead = headers.into_iter().fold(
            Message::new("jobs.dead", "{}").with_id("7"),
            |message, (name, value)| message.with_header(name, value),
        );
        DeadLetter::of(&dead)
    }

    #[test]
    fn a_dead_letter_has_its_reason_and_its_times() {
        let row = letter("smtp:\nno");
        assert_eq!(
            json(&row),
            concat!(
                r#"{"id":"7","reason":"failed","detail":"smtp:\nno","queue":"jobs","attempts":4,"#,
                r#""first_at":"1970-01-01T00:00:00.001Z","at":"1970-01-01T00:01:01.000Z","#,
                r#""headers":{"trace":"t"},"payload":{}}"#
            )
        );
        assert_eq!(
            <[String; 7]>::from(&row),
            [
                "7",
                "-",
                "1970-01-01 00:01:01",
                "failed",
                "4",
                r"smtp:\nno",
                "{}"
            ]
        );
        let [_, _, _, _, _, detail, _] = <[String; 7]>::from(&letter(&"x".repeat(100)));
        assert_eq!(detail.chars().count(), CELL);
    }

    #[test]
    fn missing_headers_are_empty_cells() {
        let foreign = DeadLetter::of(&Message::new("jobs.dead", "x"));
        assert_eq!(
            <[String; 7]>::from(&foreign),
            ["-", "-", "-", "-", "-", "-", "x"]
        );
        assert!(json(&foreign).starts_with(r#"{"reason":null,"#));
        for wrong in ["", "x", "-1", "18446744073709551615"] {
            assert_eq!(instant(wrong), None);
        }
    }
}

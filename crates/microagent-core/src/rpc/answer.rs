//! One process's answer to a call: `{"CommentAgent.comments_count": 3}`.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::{Error, ErrorKind, Fields, HandlerReply, Result, bus::check_received, shortened};

/// The extra key that contains the failures. A Python caller sees it as one more entry.
const ERRORS: &str = "$errors";

/// The answers of one process's receivers, by `Agent.method`.
#[derive(Clone, Debug)]
pub struct Answer {
    values: Vec<(String, Box<RawValue>)>,
    errors: BTreeMap<String, String>,
}

impl Answer {
    /// Parses an answer in its wire format.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Decode`] if `body` is not a JSON object.
    ///
    /// ```
    /// use microagent_core::{Answer, ErrorKind};
    ///
    /// let answer = Answer::parse(br#"{"A.count":3,"B.none":null,"$errors":{"B.none":"no database"}}"#).unwrap();
    /// assert_eq!(answer.get::<u64>("A.count").unwrap(), 3);
    /// assert_eq!(answer.one::<u64>().unwrap(), 3);
    /// let error = answer.get::<u64>("B.none").unwrap_err();
    /// assert_eq!((error.kind(), error.to_string()), (ErrorKind::Remote, "`B.none` failed: no database".to_owned()));
    /// ```
    pub fn parse(body: &[u8]) -> Result<Self> {
        let fields = Fields::of(body)?;
        let errors = fields.get_optional(ERRORS)?.unwrap_or_default();
        let values = fields
            .iter()
            .filter(|(name, _)| *name != ERRORS)
            .map(|(name, raw)| (name.to_owned(), raw.to_owned()))
            .collect();
        Ok(Self { values, errors })
    }

    /// Parses an answer that was received over a bus, after checking its size.
    pub(super) fn received(body: &[u8]) -> Result<Self> {
        check_received(body.len()).and_then(|()| Self::parse(body))
    }

    /// Returns the answer of `receiver`.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Remote`] if the receiver failed, and [`ErrorKind::Decode`] if the
    /// receiver is not in the answer or its value is not a `T` (for example, a receiver that
    /// returns nothing answers `null`).
    pub fn get<T: DeserializeOwned>(&self, receiver: &str) -> Result<T> {
        if let Some(failure) = self.errors.get(receiver) {
            return Err(remote(receiver, failure));
        }
        let Some((_, raw)) = self.values.iter().find(|(name, _)| name == receiver) else {
            let known: Vec<_> = self.receivers().map(|name| format!("`{name}`")).collect();
            let text = format!("`{receiver}` did not answer; there is {}", known.join(", "));
            return Err(Error::new(ErrorKind::Decode, shortened(text)));
        };
        decode(receiver, raw)
    }

    /// Returns the only value that is not `null`. If all values are `null`, an `Option` is `None`.
    ///
    /// ```
    /// use microagent_core::Answer;
    ///
    /// let answer = Answer::parse(br#"{"Users.find":null}"#).unwrap();
    /// assert_eq!(answer.one::<Option<u64>>().unwrap(), None);
    /// assert!(answer.one::<u64>().is_err());
    /// ```
    ///
    /// # Errors
    /// Returns [`ErrorKind::Remote`] if the answer has no such value (a failure in Python arrives
    /// as `null`), and [`ErrorKind::Decode`] if it has several or the value is not a `T`.
    pub fn one<T: DeserializeOwned>(&self) -> Result<T> {
        let mut given = self.values.iter().filter(|(_, raw)| raw.get() != "null");
        match (given.next(), given.next()) {
            (Some((receiver, raw)), None) => decode(receiver, raw),
            (Some((one, _)), Some((other, _))) => {
                let text = format!(
                    "several receivers answered, `{one}` and `{other}` among them: ask for one with `get`"
                );
                Err(Error::new(ErrorKind::Decode, shortened(text)))
            }
            // A receiver without a value returns `null`, which is a valid answer for an `Option`.
            (None, _) if self.errors.is_empty() && !self.values.is_empty() => {
                serde_json::from_str("null").map_err(|_| self.nothing())
            }
            (None, _) => Err(self.nothing()),
        }
    }

    /// Returns whether any receiver of that process reported a failure.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns the names of the receivers that are in the answer.
    pub fn receivers(&self) -> impl Iterator<Item = &str> + fmt::Debug {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    fn nothing(&self) -> Error {
        match self.errors.iter().next() {
            Some((receiver, failure)) => remote(receiver, failure),
            None => {
                let text = format!("no receiver gave a value: the answer is {self}");
                Error::new(ErrorKind::Remote, shortened(text))
            }
        }
    }
}

fn remote(receiver: &str, failure: &str) -> Error {
    let text = format!("`{receiver}` failed: {failure}");
    Error::new(ErrorKind::Remote, shortened(text))
}

fn decode<T: DeserializeOwned>(receiver: &str, raw: &RawValue) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let text = format!("the answer of `{receiver}`: {error}");
        Error::new(ErrorKind::Decode, shortened(text))
    })
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, raw) in &self.values {
            map.serialize_entry(name, raw)?;
        }
        if !self.errors.is_empty() {
            map.serialize_entry(ERRORS, &self.errors)?;
        }
        map.end()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The body of an answer to send.
pub(crate) struct AnswerBody(String);

impl AnswerBody {
    /// Writes the values in the order of the receivers, `null` for a failure, and the failures
    /// last.
    pub(crate) fn of(answers: &[(String, std::result::Result<HandlerReply, String>)]) -> Self {
        let mut body = String::from("{");
        for (receiver, answer) in answers {
            let json = answer.as_ref().map_or("null", HandlerReply::json);
            push_entry(&mut body, receiver, json);
        }
        let errors: BTreeMap<_, _> = answers
            .iter()
            .filter_map(|(receiver, answer)| Some((receiver, answer.as_ref().err()?)))
            .collect();
        if let (false, Ok(json)) = (errors.is_empty(), serde_json::to_string(&errors)) {
            push_entry(&mut body, ERRORS, &json);
        }
        body.push('}');
        Self(body)
    }

    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        self.0.into()
    }
}

fn push_entry(body: &mut String, key: &str, json: &str) {
    if body.len() > 1 {
        body.push(',');
    }
    body.push_str(&serde_json::Value::from(key).to_string());
    body.push(':');
    body.push_str(json);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_null_and_ride_last() {
        let answers = [
            ("A.bad".to_owned(), Err("no \"db\"".to_owned())),
            (
                "A.good".to_owned(),
                HandlerReply::of(&3).map_err(|error| error.to_string()),
            ),
        ];
        let body = AnswerBody::of(&answers).into_bytes();
        assert_eq!(
            body,
            r#"{"A.bad":null,"A.good":3,"$errors":{"A.bad":"no \"db\""}}"#
        );
        assert_eq!(Answer::parse(&body).unwrap().one::<u8>().unwrap(), 3);
    }

    #[test]
    fn without_failures_there_is_no_extra_key() {
        let answers = [("A.none".to_owned(), Ok(HandlerReply::default()))];
        assert_eq!(AnswerBody::of(&answers).into_bytes(), r#"{"A.none":null}"#);
    }

    #[test]
    fn one_refuses_none_and_several() {
        let several = Answer::parse(br#"{"A.x":1,"B.y":2}"#).unwrap();
        assert_eq!(several.one::<u8>().unwrap_err().kind(), ErrorKind::Decode);
        let none = Answer::parse(br#"{"A.x":null}"#).unwrap();
        assert_eq!(none.one::<u8>().unwrap_err().kind(), ErrorKind::Remote);
        assert_eq!(none.get::<Option<u8>>("A.x").unwrap(), None);
        assert_eq!(none.get::<u8>("B.y").unwrap_err().kind(), ErrorKind::Decode);
    }
}

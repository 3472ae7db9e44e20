//! From bytes to arguments: a payload's fields by name, each decoded by the type that asks for it.
//!
//! Undecodable is an ordinary outcome here, never a panic; what becomes of the message is decided elsewhere.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    Error, ErrorKind, Kwargs, Result, finite,
    text::{excerpt, shortened},
};

/// The whole payload as one value; the DTO of a handler.
///
/// ```
/// use microagent_core::Payload;
///
/// #[derive(serde::Deserialize)]
/// struct Mail { text: String }
///
/// // The parameter `Payload(mail): Payload<Mail>` of a consumer gets what this decodes:
/// let Payload(mail) = Payload::<Mail>::decode(br#"{"text":"hi"}"#).unwrap();
/// assert_eq!(mail.text, "hi");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload<T>(pub T);

impl<T> Payload<T> {
    /// Decodes a JSON body.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`], with the place and what was expected there.
    pub fn decode(body: &[u8]) -> Result<Self>
    where
        // Not on the `impl`, so that a missing `Deserialize` is named by the compiler.
        T: DeserializeOwned,
    {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| undecodable(format!("the payload does not fit: {error}")))
    }
}

/// The fields of a JSON object, not yet decoded. A name that stands twice counts once: the last wins, as in Python.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Finds the fields of an object.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the text is not JSON, or not an object.
    ///
    /// ```
    /// use microagent_core::Fields;
    ///
    /// let fields = Fields::of(br#"{"user_id": 7, "text": "hi"}"#).unwrap();
    /// assert_eq!(fields.get::<u64>("user_id").unwrap(), 7);
    /// assert_eq!(fields.get_optional::<u64>("age").unwrap(), None);
    /// let error = fields.get::<u64>("text").unwrap_err();
    /// assert_eq!(error.to_string(), "argument `text`: invalid type: string \"hi\", expected u64 at line 1 column 4");
    /// ```
    pub fn of(body: &'a [u8]) -> Result<Self> {
        // One check of the whole text costs less than one for each name and value; where it fails, serde_json names the place.
        std::str::from_utf8(body)
            .map_or_else(|_| serde_json::from_slice(body), serde_json::from_str)
            .map_err(|error| undecodable(format!("the payload must be a JSON object: {error}")))
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when it is missing or of another type, with its name.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let Some(raw) = self.raw(name) else {
            return Err(undecodable(format!(
                "argument `{name}` is missing; the payload has {}{}",
                self.names(),
                whole_payload_instead::<T>(name)
            )));
        };
        decode_field(name, raw)
    }

    /// A field that may be absent or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when it is of another type, with its name.
    pub fn get_optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.raw(name) {
            Some(raw) => decode_field(name, raw),
            None => Ok(None),
        }
    }

    /// Returns all fields but these, undecoded.
    #[must_use]
    pub fn except(&self, taken: &[&str]) -> Kwargs {
        Kwargs::of(self.iter().filter(|(name, _)| !taken.contains(name)))
    }

    /// The names and undecoded values, in the order of the payload.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> + fmt::Debug {
        self.0.iter().map(|(name, raw)| (name.as_ref(), *raw))
    }

    /// Returns the number of fields.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The undecoded value of a field.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let field = self.0.iter().rev().find(|(key, _)| key == name)?;
        Some(field.1)
    }

    fn names(&self) -> String {
        if self.0.is_empty() {
            return "no arguments".to_owned();
        }
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    }
}

/// Returns a hint for a parameter whose type is not of Rust: `mail: Mail` takes the field `mail`, not the whole payload.
fn whole_payload_instead<T>(name: &str) -> String {
    let of = std::any::type_name::<T>();
    let is_own = of.contains("::")
        && !["core::", "alloc::", "std::"]
            .iter()
            .any(|of_rust| of.starts_with(of_rust));
    match is_own.then(|| of.rsplit("::").next().unwrap_or(of)) {
        Some(own) => {
            format!("; write `Payload({name}): Payload<{own}>` if it is the whole payload")
        }
        None => String::new(),
    }
}

/// Decodes the value of a field; an error has its name.
pub(crate) fn decode_field<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T> {
    serde_json::from_str(raw.get())
        .map_err(|error| undecodable(format!("argument `{name}`: {error}")))
}

/// Returns the error. Its text may quote the payload, so it is shortened.
fn undecodable(what: String) -> Error {
    Error::new(ErrorKind::Decode, shortened(what))
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the arguments by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(4);
                while let Some((Name(name), raw)) = map.next_entry()? {
                    fields.push((name, raw));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'a> FromIterator<(&'a str, &'a RawValue)> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a RawValue)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        Self(
            fields
                .map(|(name, raw)| (Cow::Borrowed(name), raw))
                .collect(),
        )
    }
}

/// A key that borrows from the payload unless it holds escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an argument")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// Writes a body for the wire: the value's JSON, which must be an object.
///
/// ```
/// use microagent_core::{ErrorKind, encode_payload};
/// use serde_json::json;
///
/// assert_eq!(encode_payload(&json!({"user_id": 7})).unwrap(), r#"{"user_id":7}"#);
///
/// #[derive(serde::Serialize)]
/// struct Bill { total: f64 }
///
/// let refused = encode_payload(&Bill { total: f64::NAN }).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidPayload);
/// assert!(refused.to_string().contains("`NaN` in `total`"), "{refused}");
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidPayload`] for a value that is not a JSON object, and for NaN and infinite numbers, which JSON does not have.
pub fn encode_payload<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let invalid = |text| Error::new(ErrorKind::InvalidPayload, text);
    let unwritten = |error: &dyn fmt::Display| {
        invalid(format!("the payload cannot be written as JSON: {error}"))
    };
    let body = serde_json::to_string(value).map_err(|error| unwritten(&error))?;
    if !body.starts_with('{') {
        let start = excerpt(body.as_bytes());
        return Err(invalid(format!(
            "the payload must be a JSON object, but is `{start}`; peers read named arguments"
        )));
    }
    finite::check(value, &body).map_err(|error| unwritten(&error))?;
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_names_wins() {
        let fields = Fields::of(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(fields.get::<u8>("a").unwrap(), 2);
    }

    #[test]
    fn a_missing_field_of_an_own_type_names_the_parameter_for_the_whole_payload() {
        #[derive(Debug, Deserialize)]
        struct Mail {}
        let fields = Fields::of(br#"{"text":"hi"}"#).unwrap();
        let missing = fields.get::<Mail>("mail").unwrap_err().to_string();
        assert_eq!(
            missing,
            "argument `mail` is missing; the payload has `text`; write `Payload(mail): Payload<Mail>` if it is the whole payload"
        );
        let missing = fields.get::<String>("name").unwrap_err().to_string();
        assert_eq!(
            missing,
            "argument `name` is missing; the payload has `text`"
        );
    }

    #[test]
    fn names_with_escapes_are_found() {
        let fields = Fields::of(br#"{"user\u005fid":1}"#).unwrap();
        assert_eq!(fields.get::<u8>("user_id").unwrap(), 1);
    }

    #[test]
    fn a_payload_that_is_not_an_object_is_undecodable() {
        for body in ["[1,2]", "7", "null", "", "{", "\"a\"", "{\"a\":1} x"] {
            assert_eq!(
                Fields::of(body.as_bytes()).unwrap_err().kind(),
                ErrorKind::Decode,
                "{body}"
            );
        }
        assert!(Fields::of(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_missing_argument_names_what_is_there() {
        let fields = Fields::of(br#"{"userid":1}"#).unwrap();
        assert_eq!(
            fields.get::<u8>("user_id").unwrap_err().to_string(),
            "argument `user_id` is missing; the payload has `userid`"
        );
    }

    #[test]
    fn a_missing_argument_of_a_type_of_ones_own_may_be_the_whole_payload() {
        #[derive(Debug, Deserialize)]
        struct Mail {
            #[expect(dead_code, reason = "it is not decoded here")]
            text: String,
        }
        let fields = Fields::of(br#"{"text":"hi"}"#).unwrap();
        assert_eq!(
            fields.get::<Mail>("mail").unwrap_err().to_string(),
            "argument `mail` is missing; the payload has `text`; write `Payload(mail): Payload<Mail>` if it is the whole payload"
        );
        let of_rust = fields.get::<Vec<String>>("list").unwrap_err().to_string();
        assert!(!of_rust.contains("Payload("), "{of_rust}");
    }

    #[test]
    fn only_objects_are_sent() {
        assert!(encode_payload(&serde_json::json!({"a": 1})).is_ok());
        for value in [
            serde_json::json!([1]),
            serde_json::json!("x"),
            serde_json::json!(null),
        ] {
            assert_eq!(
                encode_payload(&value).unwrap_err().kind(),
                ErrorKind::InvalidPayload
            );
        }
    }
}

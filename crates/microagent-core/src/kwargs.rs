//! The fields of a payload that no parameter of a handler took: kept as JSON text, decoded when they are asked for.
//!
//! Decoded JSON takes up to a hundred times the memory of its text, and rounds numbers beyond 64 bits. Most handlers only show
//! these fields, or read one of them.

use std::{collections::HashMap, fmt};

use microagent_schema::compact;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use crate::{Fields, Result, payload::decode_field};

/// The arguments that no other parameter of the handler took, by name.
///
/// ```
/// use microagent_core::{Fields, Kwargs};
///
/// let fields = Fields::of(br#"{"user_id": 7, "id": 18446744073709551617, "tags": ["a"]}"#)?;
/// let rest = fields.except(&["user_id"]);
/// assert_eq!(rest.to_string(), r#"{"id":18446744073709551617,"tags":["a"]}"#);
/// assert_eq!(rest.get::<u128>("id")?, 18_446_744_073_709_551_617);
/// assert_eq!(rest.get_optional::<String>("note")?, None);
/// assert_eq!(rest.names().collect::<Vec<_>>(), ["id", "tags"]);
/// assert!(Kwargs::default().is_empty());
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Kwargs(Vec<(Box<str>, Box<RawValue>)>);

impl Kwargs {
    /// Keeps these fields. Of equal names the last value counts, in the first place.
    pub(crate) fn of<'a>(fields: impl Iterator<Item = (&'a str, &'a RawValue)>) -> Self {
        let mut kept: Vec<(&str, &RawValue)> = Vec::new();
        let mut places = HashMap::new();
        for (name, raw) in fields {
            match places.get(name) {
                Some(&at) => kept[at] = (name, raw),
                None => {
                    places.insert(name, kept.len());
                    kept.push((name, raw));
                }
            }
        }
        let owned = kept
            .into_iter()
            .map(|(name, raw)| (name.into(), raw.to_owned()));
        Self(owned.collect())
    }

    /// Decodes a field that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) when it is missing or of another type, with its name.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.fields().get(name)
    }

    /// Decodes a field that may be absent or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) when it is of another type, with its name.
    pub fn get_optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.fields().get_optional(name)
    }

    /// Decodes all fields.
    ///
    /// ```
    /// use microagent_core::Fields;
    ///
    /// let rest = Fields::of(br#"{"a": 1, "b": [null]}"#)?.except(&[]);
    /// assert_eq!(rest.to_map()?["b"], serde_json::json!([null]));
    /// # Ok::<(), microagent_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) for a field that a [`Value`] cannot hold, such as `1e400`.
    pub fn to_map(&self) -> Result<Map<String, Value>> {
        let fields = self.iter();
        fields
            .map(|(name, raw)| Ok((name.to_owned(), decode_field(name, raw)?)))
            .collect()
    }

    /// Returns the names of the fields, in the order of the payload.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Returns the fields as JSON, in the order of the payload.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, raw)| (&**name, &**raw))
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn fields(&self) -> Fields<'_> {
        self.iter().collect()
    }
}

impl fmt::Display for Kwargs {
    /// As a JSON object without white space between its tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&compact(&json))
    }
}

impl fmt::Debug for Kwargs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kwargs({self})")
    }
}

impl PartialEq for Kwargs {
    /// The same names and the same JSON, in any order.
    fn eq(&self, other: &Self) -> bool {
        let theirs: HashMap<_, _> = other.iter().collect();
        let same = |(name, raw): (&str, &RawValue)| {
            let their = theirs.get(name);
            their.is_some_and(|their| compact(their.get()) == compact(raw.get()))
        };
        self.len() == other.len() && self.iter().all(same)
    }
}

impl Serialize for Kwargs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Kwargs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Kwargs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the arguments by name")
            }

            // Not as `Fields`, which borrow: a reader and a `Value` have no text to borrow from.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kwargs, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                let borrowed = fields.iter().map(|(name, raw)| (name.as_str(), &**raw));
                Ok(Kwargs::of(borrowed))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kwargs(json: &str) -> Kwargs {
        Fields::of(json.as_bytes()).unwrap().except(&[])
    }

    #[test]
    fn fields_keep_their_json_and_are_decoded_when_they_are_asked_for() {
        let rest = kwargs("{\"a\":\n[1e400, \"\\ud800\"], \"b\": 1, \"b\": 2}");
        assert_eq!(rest.to_string(), r#"{"a":[1e400,"\ud800"],"b":2}"#);
        assert_eq!((rest.len(), rest.get::<u8>("b").unwrap()), (2, 2));
        assert!(rest.get::<Value>("a").is_err() && rest.to_map().is_err());
        let error = rest.get::<u8>("c").unwrap_err().to_string();
        assert_eq!(error, "argument `c` is missing; the payload has `a`, `b`");
    }

    #[test]
    fn fields_are_read_from_a_reader_and_from_a_value() {
        let json = r#"{"a":18446744073709551617,"b":1,"b":{"c":[]}}"#;
        let read: Kwargs = serde_json::from_reader(json.as_bytes()).unwrap();
        assert_eq!(read, kwargs(json));
        let value = serde_json::json!({"a": [1.5, null], "b": "x"});
        let read: Kwargs = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(read, kwargs(&value.to_string()));
        assert_eq!(Value::from(read.to_map().unwrap()), value);
    }

    #[test]
    fn written_fields_are_read_again() {
        let rest = kwargs(r#"{"a":18446744073709551617,"b":{"c":[]}}"#);
        let again: Kwargs = serde_json::from_str(&serde_json::to_string(&rest).unwrap()).unwrap();
        assert_eq!(again, rest);
        assert_eq!(
            kwargs(r#"{"b":1,"a":[1, 2]}"#),
            kwargs(r#"{"a":[1,2],"b":1}"#)
        );
        for other in [
            r#"{"a":1}"#,
            r#"{"a":18446744073709551616,"b":{"c":[]}}"#,
            "{}",
        ] {
            assert_ne!(kwargs(other), rest);
        }
    }
}

//! Reads the settings of an agent into its type. Text becomes a number or a truth value where the type wants one, because
//! `${VAR}` in a settings file is always text.

use std::{cell::RefCell, collections::BTreeMap};

use microagent_schema::suggest::{did_you_mean, nearest};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value};

/// A key that is not a field, beside a field of nearly that name that was not given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misspelt {
    pub(super) key: String,
    pub(super) field: &'static str,
    /// The place of the key in the settings file.
    pub(super) place: Option<String>,
}

/// The places of settings by their keys; empty if the settings are not from a file.
pub(super) type Places = BTreeMap<String, String>;

/// Reads the settings, and returns the keys that seem to be misspelt.
///
/// # Errors
/// The first value that does not fit, with its place or key. Keys that seem to be misspelt are part of the error.
pub(super) fn read<T: DeserializeOwned>(
    settings: &Value,
    places: &Places,
) -> Result<(T, Vec<Misspelt>), String> {
    let notes = RefCell::default();
    let reader = Reader {
        value: settings,
        path: String::new(),
        notes: &notes,
    };
    let read = T::deserialize(reader);
    let Notes { wrong, misspelt } = notes.into_inner();
    let misspelt = misspelt.into_iter().map(|(key, field)| Misspelt {
        place: places.get(&key).cloned(),
        key,
        field,
    });
    match read {
        Ok(read) => Ok((read, misspelt.collect())),
        Err(error) => Err(
            misspelt.fold(at_place(&error, wrong, places), |text, misspelt| {
                let Misspelt { key, field, .. } = misspelt;
                format!("{text}; unknown key `{key}`, {}", did_you_mean(field))
            }),
        ),
    }
}

/// Returns the error after the place of the value with this key, or after the key if the place is not known.
fn at_place(error: &Error, key: Option<String>, places: &Places) -> String {
    match (places.get(key.as_deref().unwrap_or_default()), key) {
        (Some(place), _) => format!("{place}: {error}"),
        (None, Some(key)) => format!("`{key}`: {error}"),
        (None, None) => error.to_string(),
    }
}

#[derive(Default)]
struct Notes {
    /// The innermost key whose value does not fit.
    wrong: Option<String>,
    /// Keys, each with the field that was probably meant.
    misspelt: Vec<(String, &'static str)>,
}

/// A value with its key.
struct Reader<'a> {
    value: &'a Value,
    path: String,
    notes: &'a RefCell<Notes>,
}

impl<'a> Reader<'a> {
    fn child(&self, value: &'a Value, path: String) -> Self {
        let notes = self.notes;
        Self { value, path, notes }
    }

    fn note_misspelt(&self, given: &Map<String, Value>, fields: &'static [&'static str]) {
        let missing = fields.iter().filter(|field| !given.contains_key(**field));
        let missing: Vec<&'static str> = missing.copied().collect();
        for key in given.keys().filter(|key| !fields.contains(&key.as_str())) {
            let near = nearest(key, &missing)
                .and_then(|near| missing.iter().find(|field| **field == near));
            if let Some(field) = near {
                let key = inside(&self.path, key);
                self.notes.borrow_mut().misspelt.push((key, field));
            }
        }
    }

    /// Reads a part of this value with `seed`, and notes its key if it does not fit.
    fn part<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Error> {
        let (notes, path) = (self.notes, self.path.clone());
        seed.deserialize(self).inspect_err(|_| {
            notes.borrow_mut().wrong.get_or_insert(path);
        })
    }
}

fn inside(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// Passes the methods that read a number or a truth value to another macro.
macro_rules! scalars {
    ($methods:ident) => {
        $methods!(
            deserialize_bool,
            deserialize_u8,
            deserialize_u16,
            deserialize_u32,
            deserialize_u64,
            deserialize_u128,
            deserialize_i8,
            deserialize_i16,
            deserialize_i32,
            deserialize_i64,
            deserialize_i128,
            deserialize_f32,
            deserialize_f64
        );
    };
}

/// Methods that read one value, not its parts.
macro_rules! of_scalar {
    ($($method:ident),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            Scalar(self.value.clone()).$method(visitor)
        }
    )+};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Object(map) => visitor.visit_map(Entries {
                entries: map.iter(),
                next: None,
                reader: self,
            }),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
                reader: self,
            }),
            scalar => Scalar(scalar.clone()).deserialize_any(visitor),
        }
    }

    scalars!(of_scalar);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Raw JSON is such a type by a name of its own.
        if name.starts_with('$') {
            self.value.deserialize_newtype_struct(name, visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Value::Object(given) = self.value {
            self.note_misspelt(given, fields);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The entries of a table.
struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    next: Option<(&'a String, &'a Value)>,
    reader: Reader<'a>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next = self.entries.next();
        let key = self.next.map(|(key, _)| Scalar(Value::String(key.clone())));
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, value)) = self.next.take() else {
            return Err(serde::de::Error::custom("a value without its key"));
        };
        let path = inside(&self.reader.path, key);
        self.reader.child(value, path).part(seed)
    }
}

/// The elements of a list.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    reader: Reader<'a>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((index, value)) = self.items.next() else {
            return Ok(None);
        };
        let path = format!("{}[{index}]", self.reader.path);
        self.reader.child(value, path).part(seed).map(Some)
    }
}

/// A value without parts, or a key.
struct Scalar(Value);

impl Scalar {
    /// The number or truth value that a text is, or else what it is.
    fn converted(self) -> Value {
        let read = match &self.0 {
            Value::String(text) => serde_json::from_str(text.trim()).ok(),
            _ => None,
        };
        match read {
            Some(read @ (Value::Number(_) | Value::Bool(_))) => read,
            _ => self.0,
        }
    }
}

macro_rules! converted {
    ($($method:ident),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.converted().$method(visitor)
        }
    )+};
}

impl<'de> Deserializer<'de> for Scalar {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }

    scalars!(converted);

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests;

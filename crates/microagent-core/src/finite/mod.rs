//! A check for numbers that JSON does not have. `serde_json` writes NaN and the infinities as
//! `null`, so the receiver would read a different value from the one that was sent. This module
//! rejects them.
//!
//! JSON without `null` does not contain such a number, so `check` looks at the numbers only of values
//! whose JSON contains `null`.

use std::fmt::{self, Display};

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Checks the numbers of a value whose JSON is `json`.
///
/// # Errors
/// Returns the place of the first number that is not finite.
pub(crate) fn check<T: Serialize + ?Sized>(value: &T, json: &str) -> Result<(), NotFinite> {
    if json.contains("null") {
        check_all(value)
    } else {
        Ok(())
    }
}

/// Checks the numbers of a value, regardless of its JSON.
pub(crate) fn check_all<T: Serialize + ?Sized>(value: &T) -> Result<(), NotFinite> {
    value.serialize(Finite)
}

/// The error for a number that cannot be written as JSON.
#[derive(Debug)]
pub(crate) struct NotFinite {
    /// The path of the number, such as `items[2].price`. Empty for the value itself.
    place: String,
    /// The number (`NaN`, `inf` or `-inf`), or the reason why the value could not be checked.
    found: Found,
}

#[derive(Debug)]
enum Found {
    Number(f64),
    Failure(String),
}

impl NotFinite {
    fn number(number: f64) -> Self {
        Self {
            place: String::new(),
            found: Found::Number(number),
        }
    }

    fn in_field(mut self, name: &str) -> Self {
        let dot = match self.place.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.place = format!("{name}{dot}{}", self.place);
        self
    }

    fn in_element(mut self, index: usize) -> Self {
        let dot = match self.place.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.place = format!("[{index}]{dot}{}", self.place);
        self
    }
}

impl Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Found::Failure(why) => f.write_str(why),
            Found::Number(number) => {
                write!(f, "invalid number `{number}`")?;
                if !self.place.is_empty() {
                    write!(f, " in `{}`", self.place)?;
                }
                f.write_str(": expected a finite number, because JSON has no other")
            }
        }
    }
}

impl std::error::Error for NotFinite {}

impl ser::Error for NotFinite {
    fn custom<T: Display>(message: T) -> Self {
        Self {
            place: String::new(),
            found: Found::Failure(message.to_string()),
        }
    }
}

/// A serializer that checks each number and writes no output.
#[derive(Clone, Copy)]
struct Finite;

/// Accepts values of these types without a check.
macro_rules! accept {
    ($($name:ident($type:ty)),* $(,)?) => {$(
        fn $name(self, _: $type) -> Result<(), NotFinite> {
            Ok(())
        }
    )*};
}

impl Serializer for Finite {
    type Ok = ();
    type Error = NotFinite;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    accept!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    );

    fn serialize_f32(self, number: f32) -> Result<(), NotFinite> {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Result<(), NotFinite> {
        if number.is_finite() {
            Ok(())
        } else {
            Err(NotFinite::number(number))
        }
    }

    fn serialize_none(self) -> Result<(), NotFinite> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotFinite> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotFinite> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), NotFinite> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFinite> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotFinite> {
        value
            .serialize(self)
            .map_err(|error| error.in_field(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements, NotFinite> {
        Ok(Elements(0))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements, NotFinite> {
        Ok(Elements(0))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, NotFinite> {
        Ok(Elements(0))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Elements, NotFinite> {
        Ok(Elements(0))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, NotFinite> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, NotFinite> {
        Ok(Entries::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Entries, NotFinite> {
        Ok(Entries::default())
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), NotFinite> {
        Ok(())
    }
}

/// The index of the next element.
struct Elements(usize);

impl Elements {
    fn next<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
        let index = self.0;
        self.0 += 1;
        value
            .serialize(Finite)
            .map_err(|error| error.in_element(index))
    }
}

macro_rules! elements {
    ($($trait:ident::$next:ident),* $(,)?) => {$(
        impl $trait for Elements {
            type Ok = ();
            type Error = NotFinite;

            fn $next<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
                self.next(value)
            }

            fn end(self) -> Result<(), NotFinite> {
                Ok(())
            }
        }
    )*};
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

/// The key of the next value of a map.
#[derive(Default)]
struct Entries(String);

macro_rules! fields {
    ($($trait:ident),* $(,)?) => {$(
        impl $trait for Entries {
            type Ok = ();
            type Error = NotFinite;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), NotFinite> {
                value.serialize(Finite).map_err(|error| error.in_field(name))
            }

            fn end(self) -> Result<(), NotFinite> {
                Ok(())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Entries {
    type Ok = ();
    type Error = NotFinite;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotFinite> {
        self.0 = key_text(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
        value
            .serialize(Finite)
            .map_err(|error| error.in_field(&self.0))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), NotFinite> {
        value
            .serialize(Finite)
            .map_err(|error| error.in_field(&key_text(key)))
    }

    fn end(self) -> Result<(), NotFinite> {
        Ok(())
    }
}

/// Returns the key as an error shows it. A key that is not text cannot occur in an object that was
/// already written.
fn key_text<K: Serialize + ?Sized>(key: &K) -> String {
    match serde_json::to_value(key) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! Compares the types of a receiver's parameters with the declared types of the signal's arguments, at compile time.
//!
//! Both are known for some types only: [`Reads`] knows the JSON type of the types that are listed here, and a signal of
//! `declare!` or `#[derive(Signal)]` has a constant with its declared types. Everything else is compatible with everything.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    num::NonZero,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use microagent_core::{JsonType, Number};
use serde_json::Map;

/// The declared types of a signal: its name, and each argument with its JSON types, none if it may be anything.
pub type ArgumentTypes = (&'static str, &'static [(&'static str, &'static [JsonType])]);

/// The declared types of signals whose type does not have an own constant of this name, which the compiler prefers.
pub trait UnknownArgumentTypes {
    /// Nothing is known.
    const __ARGUMENT_TYPES: ArgumentTypes = ("", &[]);
}

impl<T> UnknownArgumentTypes for T {}

/// The JSON type that a Rust type is read from, as the constant `JSON`.
#[derive(Debug)]
pub struct Reads<T: ?Sized>(PhantomData<T>);

/// The JSON type of types that are not listed here. The compiler prefers the constant of a listed type.
pub trait ReadsUnknown {
    /// Nothing is known.
    const JSON: Option<JsonType> = None;
}

impl<T: ?Sized> ReadsUnknown for Reads<T> {}

macro_rules! reads {
    ($json:ident: $($({$($generic:ident),+})? $of:ty),+ $(,)?) => {$(
        impl $(<$($generic),+>)? Reads<$of> {
            /// The JSON type that the type is read from.
            pub const JSON: Option<JsonType> = Some(JsonType::$json);
        }
    )+};
}

reads!(String: String, char, Box<str>, Rc<str>, Arc<str>, PathBuf);
reads!(String: IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6);
reads!(Number: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
reads!(Number: Number, serde_json::Number);
reads!(Number: NonZero<u8>, NonZero<u16>, NonZero<u32>, NonZero<u64>, NonZero<u128>, NonZero<usize>);
reads!(Number: NonZero<i8>, NonZero<i16>, NonZero<i32>, NonZero<i64>, NonZero<i128>, NonZero<isize>);
reads!(Boolean: bool);
reads!(Array: {T} Vec<T>, {T} VecDeque<T>, {T} LinkedList<T>, {T} BinaryHeap<T>, {T} BTreeSet<T>, {T, S} HashSet<T, S>);
reads!(Array: {T} Box<[T]>, {T} Rc<[T]>, {T} Arc<[T]>, {A} (A,), {A, B} (A, B), {A, B, C} (A, B, C), {A, B, C, D} (A, B, C, D));
reads!(Object: {K, V} BTreeMap<K, V>, {K, V, S} HashMap<K, V, S>, {K, V} Map<K, V>);
reads!(Null: ());

impl<T, const N: usize> Reads<[T; N]> {
    /// The JSON type that the type is read from.
    pub const JSON: Option<JsonType> = Some(JsonType::Array);
}

/// Fails the compilation, at the place of the caller, if no declared type of the argument can be read by the parameter.
///
/// # Panics
/// If it fails, which is at compile time.
#[track_caller]
pub const fn check_argument(
    (signal, declared): ArgumentTypes,
    name: &str,
    reads: Option<JsonType>,
    is_optional: bool,
) {
    let (Some(types), Some(reads)) = (types_of(declared, name), reads) else {
        return;
    };
    let is_null = types.len() == 1 && contains(types, JsonType::Null);
    if types.is_empty() || contains(types, reads) || (is_null && is_optional) {
        return;
    }
    let mut text = Text::new()
        .with("invalid type of the parameter `")
        .with(name);
    text = text.with("`: expected one that reads ");
    let mut index = 0;
    while index < types.len() {
        let before = if index == 0 { "" } else { " or " };
        text = text.with(before).with(types[index].with_article());
        text = text.with(example(types[index]));
        index += 1;
    }
    text = text.with(", as the signal `").with(signal);
    text = text
        .with("` declares; this one reads ")
        .with(reads.with_article());
    panic!("{}", text.as_str());
}

const fn types_of(
    declared: &[(&'static str, &'static [JsonType])],
    name: &str,
) -> Option<&'static [JsonType]> {
    let mut index = 0;
    while index < declared.len() {
        if is_equal(declared[index].0, name) {
            return Some(declared[index].1);
        }
        index += 1;
    }
    None
}

const fn is_equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    one.len() == other.len() && index == one.len()
}

const fn contains(types: &[JsonType], json: JsonType) -> bool {
    let mut index = 0;
    while index < types.len() {
        if types[index] as u8 == json as u8 {
            return true;
        }
        index += 1;
    }
    false
}

const fn example(json: JsonType) -> &'static str {
    match json {
        JsonType::String => " (such as `String`)",
        JsonType::Number => " (such as `u64` or `Number`)",
        JsonType::Boolean => " (`bool`)",
        JsonType::Array => " (such as `Vec<T>`)",
        JsonType::Object => " (such as a struct with `Deserialize`)",
        JsonType::Null => "",
    }
}

/// A text that is put together at compile time; what does not fit is left out.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Text {
    const fn new() -> Self {
        Self {
            bytes: [0; 512],
            length: 0,
        }
    }

    const fn with(mut self, part: &str) -> Self {
        let part = part.as_bytes();
        if part.len() <= self.bytes.len() - self.length {
            let mut index = 0;
            while index < part.len() {
                self.bytes[self.length] = part[index];
                self.length += 1;
                index += 1;
            }
        }
        self
    }

    const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "invalid type of a parameter",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: ArgumentTypes = (
        "s",
        &[
            ("any", &[]),
            ("id", &[JsonType::Number]),
            ("code", &[JsonType::Number, JsonType::Null]),
            ("nothing", &[JsonType::Null]),
        ],
    );

    struct Own;
    type Id = u64;

    #[test]
    fn listed_types_are_known_also_by_an_alias_and_others_are_not() {
        assert_eq!(Reads::<Id>::JSON, Some(JsonType::Number));
        assert_eq!(Reads::<HashMap<String, Own>>::JSON, Some(JsonType::Object));
        assert_eq!(Reads::<[Own; 3]>::JSON, Some(JsonType::Array));
        assert_eq!(Reads::<Own>::JSON, None);
        assert_eq!(Reads::<serde_json::Value>::JSON, None);
        assert_eq!(Own::__ARGUMENT_TYPES, ("", [].as_slice()));
    }

    #[test]
    fn a_type_fits_if_one_declared_type_does_or_if_one_side_is_unknown() {
        let fits = |name, reads, is_optional| check_argument(DECLARED, name, reads, is_optional);
        fits("id", Some(JsonType::Number), false);
        fits("id", None, false);
        fits("any", Some(JsonType::String), false);
        fits("other", Some(JsonType::String), false);
        fits("code", Some(JsonType::Number), false);
        fits("code", Some(JsonType::Number), true);
        fits("nothing", Some(JsonType::String), true);
    }

    #[test]
    #[should_panic(
        expected = "invalid type of the parameter `code`: expected one that reads a number (such as `u64` or `Number`) or null, \
                    as the signal `s` declares; this one reads a string"
    )]
    fn a_type_that_fits_none_of_the_declared_ones_is_named() {
        check_argument(DECLARED, "code", Some(JsonType::String), true);
    }
}

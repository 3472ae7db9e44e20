//! Duplicate keys in one JSON object. A JSON tree keeps only the last of them, so a declaration would be lost silently.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Problem;

/// Returns a problem for every duplicate key; none if the text is not JSON.
pub(super) fn find(json: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let walk = Walk {
        place: String::new(),
        problems: &mut problems,
    };
    // The reader of the values reports a syntax error; here it only ends the walk.
    let _ = walk.deserialize(&mut serde_json::Deserializer::from_str(json));
    problems
}

/// Returns the place of a key inside of the object at `place`.
pub(super) fn place_of(place: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (place, plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{place}.{key}"),
        (_, false) => format!("{place}[{key:?}]"),
    }
}

struct Walk<'a> {
    place: String,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn below(&mut self, place: String) -> Walk<'_> {
        Walk {
            place,
            problems: self.problems,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = place_of(&self.place, &key);
            map.next_value_seed(self.below(place.clone()))?;
            if !seen.insert(key) {
                let message = "this key stands here twice: one of the two must go";
                self.problems.push(Problem::new(place, message));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let place = format!("{}[{index}]", self.place);
            if list.next_element_seed(self.below(place))?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(json: &str) -> Vec<String> {
        find(json)
            .into_iter()
            .map(|problem| problem.place)
            .collect()
    }

    #[test]
    fn every_repeated_key_is_found_with_its_place() {
        let json =
            r#"{"a": [1, -1, 1.5, "x", null, true, {"b c": 1, "b c": 2}], "a": {"d": 1, "d": 1}}"#;
        assert_eq!(places(json), [r#"a[6]["b c"]"#, "a.d", "a"]);
    }

    #[test]
    fn the_same_key_in_two_objects_is_fine() {
        assert!(places(r#"[{"a": {"a": 1}}, {"a": 2}]"#).is_empty());
    }
}

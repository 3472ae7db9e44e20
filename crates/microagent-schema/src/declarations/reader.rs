//! Conversion of a JSON tree to declarations. It collects all problems instead of stopping at the first.

use serde_json::{Map, Value};

use super::{
    ArgumentDeclaration, Declarations, JsonType, Problem, QueueDeclaration, SignalDeclaration,
    duplicates::place_of,
};
use crate::names::{self, NameError};

/// Reads the tree of a `signals.json`; `problems` are those found before.
pub(super) fn read(document: &Value, problems: Vec<Problem>) -> Result<Declarations, Vec<Problem>> {
    let mut reader = Reader {
        problems,
        warnings: Vec::new(),
    };
    let declarations = reader.document(document);
    match declarations {
        Some(declarations) if reader.problems.is_empty() => Ok(Declarations {
            warnings: reader.warnings,
            ..declarations
        }),
        _ => Err(reader.problems),
    }
}

struct Reader {
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Reader {
    fn document(&mut self, document: &Value) -> Option<Declarations> {
        let allowed = ["version", "signals", "queues", "default_prefix", "jsonlib"];
        let file = self.object("", document, &allowed)?;
        if file.contains_key("jsonlib") {
            self.warnings.push(
                "`jsonlib` names a Python module and changes nothing here: payloads are standard JSON"
                    .to_owned(),
            );
        }
        let (version, default_prefix) = (self.version(file), self.default_prefix(file));
        let signals = self.entries(file, "signals", Self::signal);
        let queues = self.entries(file, "queues", Self::queue);
        self.refuse_repeated(
            "signals",
            signals.iter().map(|(i, s)| (*i, s.name.as_str())),
        );
        self.refuse_repeated("queues", queues.iter().map(|(i, q)| (*i, q.name.as_str())));
        Some(Declarations {
            version,
            default_prefix,
            signals: signals.into_iter().map(|(_, signal)| signal).collect(),
            queues: queues.into_iter().map(|(_, queue)| queue).collect(),
            warnings: Vec::new(),
        })
    }

    fn version(&mut self, file: &Map<String, Value>) -> u32 {
        match file.get("version").map(Value::as_u64) {
            None | Some(Some(1)) => 1,
            Some(Some(2)) => 2,
            Some(_) => {
                let found = &file["version"];
                self.refuse("version", format!("{found} is not known: 1 and 2 are"));
                1
            }
        }
    }

    fn default_prefix(&mut self, file: &Map<String, Value>) -> Option<String> {
        let prefix = self.string("default_prefix", file.get("default_prefix")?)?;
        self.check("default_prefix", names::check_prefix(prefix));
        Some(prefix.to_owned())
    }

    /// Returns the readable entries of a list of the file, with their indices in it.
    fn entries<T>(
        &mut self,
        file: &Map<String, Value>,
        key: &str,
        read: impl Fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Vec<(usize, T)> {
        let Some(list) = file.get(key).and_then(|value| self.array(key, value)) else {
            return Vec::new();
        };
        let places = list.iter().enumerate();
        places
            .filter_map(|(i, entry)| Some((i, read(self, &format!("{key}[{i}]"), entry)?)))
            .collect()
    }

    fn signal(&mut self, place: &str, entry: &Value) -> Option<SignalDeclaration> {
        let entry = self.object(place, entry, &["name", "providing_args"])?;
        let name = self.name(place, entry, names::check_signal);
        let Some(args) = entry.get("providing_args") else {
            self.refuse(
                place,
                "`providing_args` is missing: a list of names, or an object of names and types",
            );
            return None;
        };
        let place = place_of(place, "providing_args");
        let arguments = match args {
            Value::Array(list) => self.untyped_arguments(&place, list),
            Value::Object(types) => self.typed_arguments(&place, types),
            other => {
                let allowed = "a list of names, or an object of names and types, is expected here";
                self.refuse_type(&place, other, allowed);
                return None;
            }
        };
        Some(SignalDeclaration {
            name: name?,
            arguments,
            typed: args.is_object(),
        })
    }

    fn untyped_arguments(&mut self, place: &str, list: &[Value]) -> Vec<ArgumentDeclaration> {
        let mut found: Vec<(usize, &str)> = Vec::new();
        for (i, name) in list.iter().enumerate() {
            let place = format!("{place}[{i}]");
            if let Some(name) = self.string(&place, name) {
                self.check(&place, names::check_argument(name));
                found.push((i, name));
            }
        }
        self.refuse_repeated(place, found.iter().copied());
        let arguments = found.into_iter().map(|(_, name)| ArgumentDeclaration {
            name: name.to_owned(),
            types: Vec::new(),
        });
        arguments.collect()
    }

    fn typed_arguments(
        &mut self,
        place: &str,
        types: &Map<String, Value>,
    ) -> Vec<ArgumentDeclaration> {
        let arguments = types.iter().map(|(name, types)| {
            let place = place_of(place, name);
            self.check(&place, names::check_argument(name));
            ArgumentDeclaration {
                name: name.clone(),
                types: self.types(&place, types),
            }
        });
        arguments.collect()
    }

    fn types(&mut self, place: &str, types: &Value) -> Vec<JsonType> {
        let Value::Array(union) = types else {
            return self.json_type(place, types).into_iter().collect();
        };
        if union.is_empty() {
            self.refuse(
                place,
                format!(
                    "no type is named: one or more of {} are expected",
                    type_names()
                ),
            );
        }
        let members = union.iter().enumerate();
        let known: Vec<_> = members
            .filter_map(|(i, member)| Some((i, self.json_type(&format!("{place}[{i}]"), member)?)))
            .collect();
        self.refuse_repeated(place, known.iter().map(|(i, known)| (*i, known.name())));
        known.into_iter().map(|(_, known)| known).collect()
    }

    fn json_type(&mut self, place: &str, name: &Value) -> Option<JsonType> {
        let known = name.as_str().and_then(JsonType::named);
        if known.is_none() {
            let allowed = type_names();
            self.refuse(
                place,
                format!("invalid JSON type {name}: expected {allowed}, or a list of them"),
            );
        }
        known
    }

    fn queue(&mut self, place: &str, entry: &Value) -> Option<QueueDeclaration> {
        let entry = self.object(place, entry, &["name", "exchange", "topics"])?;
        let name = self.name(place, entry, names::check_queue);
        let exchange = entry
            .get("exchange")
            .and_then(|exchange| self.string(&place_of(place, "exchange"), exchange))
            // Python's way to say that there is none.
            .filter(|exchange| !exchange.is_empty());
        let topics = entry
            .get("topics")
            .map(|topics| self.topics(&place_of(place, "topics"), topics))
            .unwrap_or_default();
        if exchange.is_none() && !topics.is_empty() {
            self.warnings.push(format!(
                "{place}: `topics` bind a queue to an `exchange`; this entry names none, so they do nothing"
            ));
        }
        Some(QueueDeclaration {
            name: name?,
            exchange: exchange.map(str::to_owned),
            topics,
        })
    }

    fn topics(&mut self, place: &str, topics: &Value) -> Vec<String> {
        if let Value::String(topic) = topics {
            self.warnings.push(format!(
                "{place}: {topic:?} is taken as a list of one topic; Python binds each of its letters: write [{topic:?}]"
            ));
            return vec![topic.clone()];
        }
        let Some(list) = self.array(place, topics) else {
            return Vec::new();
        };
        let topics = list.iter().enumerate();
        topics
            .filter_map(|(i, topic)| Some(self.string(&format!("{place}[{i}]"), topic)?.to_owned()))
            .collect()
    }

    fn name(
        &mut self,
        place: &str,
        entry: &Map<String, Value>,
        check: fn(&str) -> Result<(), NameError>,
    ) -> Option<String> {
        let Some(name) = entry.get("name") else {
            self.refuse(place, "`name` is missing");
            return None;
        };
        let place = place_of(place, "name");
        let name = self.string(&place, name)?;
        self.check(&place, check(name));
        Some(name.to_owned())
    }

    fn object<'a>(
        &mut self,
        place: &str,
        value: &'a Value,
        allowed: &[&str],
    ) -> Option<&'a Map<String, Value>> {
        let Value::Object(object) = value else {
            let keys = code_list(allowed);
            self.refuse_type(
                place,
                value,
                &format!("an object with {keys} is expected here"),
            );
            return None;
        };
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let keys = code_list(allowed);
            self.refuse(
                &place_of(place, key),
                format!("this key is not known: {keys} are"),
            );
        }
        Some(object)
    }

    fn array<'a>(&mut self, place: &str, value: &'a Value) -> Option<&'a Vec<Value>> {
        if value.as_array().is_none() {
            self.refuse_type(place, value, "a list is expected here");
        }
        value.as_array()
    }

    fn string<'a>(&mut self, place: &str, value: &'a Value) -> Option<&'a str> {
        if value.as_str().is_none() {
            self.refuse_type(place, value, "a string is expected here");
        }
        value.as_str()
    }

    fn refuse_type(&mut self, place: &str, found: &Value, expected: &str) {
        let found = JsonType::of(found).with_article();
        self.refuse(place, format!("{expected}, but this is {found}"));
    }

    fn refuse_repeated<'a>(&mut self, place: &str, names: impl Iterator<Item = (usize, &'a str)>) {
        let mut seen = std::collections::HashMap::new();
        for (i, name) in names {
            let first = *seen.entry(name).or_insert(i);
            if first != i {
                let message = format!("`{name}` is declared by {place}[{first}] already");
                self.refuse(&format!("{place}[{i}]"), message);
            }
        }
    }

    fn check(&mut self, place: &str, outcome: Result<(), NameError>) {
        if let Err(error) = outcome {
            self.refuse(place, error.to_string());
        }
    }

    fn refuse(&mut self, place: &str, message: impl Into<String>) {
        let place = if place.is_empty() {
            "the document"
        } else {
            place
        };
        self.problems.push(Problem::new(place, message));
    }
}

fn type_names() -> String {
    code_list(&JsonType::ALL.map(JsonType::name))
}

fn code_list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

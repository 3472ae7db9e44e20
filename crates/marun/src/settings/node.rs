//! The tree of values of a settings file, with their places, for both formats.

use serde_json::{Map, Number};

use super::place::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of TOML or JSON.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    /// In the order of the file; keys are unique.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// Converts the value to JSON, without places.
    pub(crate) fn into_json(self) -> serde_json::Value {
        match self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Number(value) => value.into(),
            Value::String(value) => value.into(),
            Value::Array(items) => items.into_iter().map(Self::into_json).collect(),
            Value::Table(entries) => {
                let map: Map<_, _> = entries
                    .into_iter()
                    .map(|(key, node)| (key, node.into_json()))
                    .collect();
                map.into()
            }
        }
    }

    /// Applies `change` to every string value in the tree. If it returns `None`, the string stays
    /// as it is. Keys are not changed.
    pub(crate) fn change_strings(
        &mut self,
        change: &mut dyn FnMut(&Place, &str) -> Option<String>,
    ) {
        match &mut self.value {
            Value::String(text) => {
                if let Some(changed) = change(&self.place, text) {
                    *text = changed;
                }
            }
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| item.change_strings(change)),
            Value::Table(entries) => entries
                .iter_mut()
                .for_each(|(_, node)| node.change_strings(change)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Visits this value and all values in it.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match &self.value {
            Value::Array(items) => items.iter().for_each(|item| item.visit(visit)),
            Value::Table(entries) => entries.iter().for_each(|(_, node)| node.visit(visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Returns the name of the value's type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

//! `[agent.NAME.handlers.METHOD]`: options of a handler. The manifest checks them later.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    node::Node,
    place::Place,
    problems::SettingsError,
    section::{Located, Section, into_table},
};

/// The options of a handler: `[agent.NAME.handlers.METHOD]`. They override those of its attribute.
#[derive(Clone, Debug)]
pub struct HandlerSettings {
    /// The place of the table.
    pub place: Place,
    /// The options, by their names in the attribute.
    pub options: BTreeMap<String, Located<Value>>,
}

impl HandlerSettings {
    /// Reads the table `handlers` of an agent, by method name.
    pub(super) fn all(section: &mut Section) -> BTreeMap<String, Self> {
        let handlers = section.tables("handlers").into_iter();
        handlers
            .filter_map(|(name, node)| Some((name, section.keep(Self::from_node(node))?)))
            .collect()
    }

    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let (place, options) = into_table(node)?;
        let options = options.into_iter().map(|(name, node)| {
            let place = node.place.clone();
            let value = node.into_json();
            (name, Located { value, place })
        });
        Ok(Self {
            place,
            options: options.collect(),
        })
    }
}

//! `[agent.NAME.handlers.METHOD]`: options of a handler, over those of its attribute. Which there are, its manifest knows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    node::Node,
    place::Place,
    problems::SettingsError,
    section::{Located, Section, into_table},
};

/// `[agent.NAME.handlers.METHOD]`
#[derive(Clone, Debug)]
pub struct HandlerSettings {
    /// The handler's table.
    pub place: Place,
    /// The options by their names in the attribute.
    pub options: BTreeMap<String, Located<Value>>,
}

impl HandlerSettings {
    /// The table `handlers` of an agent, by the names of the methods.
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

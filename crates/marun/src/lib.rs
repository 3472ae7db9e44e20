//! The launcher of MicroAgent.

mod settings;

pub use settings::{
    AgentSettings, BrokerSettings, BusSettings, DEFAULT_GRACE, DEFAULT_READY_TIMEOUT, Located,
    Member, Place, Settings, SettingsError,
};

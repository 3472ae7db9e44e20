//! The mocks, as the tests of an agent use them.

mod agent;
mod broker;
mod bus;

//! The embedded default behind `local:PATH`: signals and durable queues between the processes of one machine.
//!
//! One process owns the folder and hosts the hub; the others reach it over a Unix socket in that folder. It decides no
//! outcome and calls no handler, and it is not a distributed system: past one machine, change the DSN.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "the hub is what uses the store, and it follows"
    )
)]
mod store;

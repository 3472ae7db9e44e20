//! Settings whose buses and brokers no agent could use: one message with file, line, key and what
//! is allowed.

use std::fs;

use crate::{
    group::Folder,
    settings::{refused, script},
};

#[test]
fn an_agent_that_lacks_its_connections() {
    let folder = Folder::of("[bus.main]\ndsn = 'memory://'\n[agent.a]\nbackend = 'Responder'\n");
    refused(
        &folder,
        &[
            "agent.a",
            "missing `bus`: `Responder` receives the signal `ask`",
            "available: `main`",
        ],
    );
    let folder = Folder::of("[agent.a]\nbackend = 'Worker'\n");
    refused(&folder, &["agent.a", "missing `broker`: "]);
}

#[test]
fn a_dsn_that_is_none() {
    let wired = "[agent.a]\nbackend = 'Responder'\nbus = 'main'\n";
    for agents in ["[agent.a]\nbackend = 'Actor'\n", wired] {
        for (dsn, reason) in [
            ("mail://x", "unknown driver `mail://`"),
            ("nonsense", "invalid DSN `nonsense`"),
        ] {
            let settings = format!("[bus.main]\ndsn = '{dsn}'\n{agents}");
            refused(
                &Folder::of(&settings),
                &[":3: bus.main.dsn: ", reason, "`memory://`"],
            );
            let settings = settings
                .replace("bus", "broker")
                .replace("Responder", "Worker");
            refused(&Folder::of(&settings), &[":3: broker.main.dsn: ", reason]);
        }
    }
    let folder = Folder::of(&format!(
        "[bus.main]\ndsn = 'memory://'\nprefix = 'a:b'\n{wired}"
    ));
    refused(&folder, &[":4: bus.main.prefix: ", "a:b"]);
}

/// Of programs that are built without the driver, as this test is then.
#[test]
#[cfg(not(feature = "redis"))]
fn a_dsn_whose_driver_is_not_compiled_in() {
    let reason = "the driver of `redis://HOST` is not compiled in: switch on the feature `redis`";
    for agent in ["backend = 'Worker'\nbroker = 'main'", "backend = 'Actor'"] {
        let settings = format!("[broker.main]\ndsn = 'redis://localhost/0'\n[agent.a]\n{agent}\n");
        refused(&Folder::of(&settings), &[":3: broker.main.dsn: ", reason]);
    }
}

/// Only the program itself knows which drivers it was built without.
#[test]
fn refusals_of_a_program_name_the_place_in_the_settings() {
    let reason = "the driver of `mail://` is not compiled in: switch on the feature `mail`";
    let mailer = r#"{"name": "Mailer", "periodic": [], "cron": [], "receivers": [], "consumers": [], "hooks": []}"#;
    let answer = format!(
        r#"{{"protocol": 2, "agents": [{mailer}], "refused_buses": {{}}, "refused_brokers": {{"mail://x": "{reason}"}}}}"#
    );
    let folder = Folder::with(
        "program = './lean.sh'
        [broker.main]
        dsn = 'mail://x'
        [agent.a]
        backend = 'Mailer'
        broker = 'main'
        ",
    );
    fs::write(folder.path("answer.json"), answer).unwrap();
    script(
        &folder,
        "lean.sh",
        "cat >/dev/null; cat \"$(dirname \"$0\")/answer.json\"",
    );
    refused(&folder, &[":3: broker.main.dsn: ", reason]);
}

#[test]
fn a_folder_that_is_none() {
    let queue =
        "[broker.main]\ndsn = 'local:data'\n[agent.a]\nbackend = 'Worker'\nbroker = 'main'\n";
    let folder = Folder::of(queue);
    fs::write(folder.path("data"), "").unwrap();
    let reason = format!(
        "{} is not a folder: expected ",
        folder.path("data").display()
    );
    refused(&folder, &[":3: broker.main.dsn: ", &reason]);
    let folder = Folder::of(&queue.replace("local:data", "local:settings.toml/data"));
    refused(
        &folder,
        &[":3: broker.main.dsn: ", "settings.toml is not a folder"],
    );
}

#[test]
fn a_memory_that_several_processes_would_share() {
    let agents =
        ["a", "b"].map(|name| format!("[agent.{name}]\nbackend = 'Responder'\nbus = 'main'\n"));
    let folder = Folder::of(&format!(
        "[bus.main]\ndsn = 'memory://'\n{}",
        agents.concat()
    ));
    refused(&folder, &[":3: bus.main.dsn: ", "use `local:`"]);
}

//! Zones and schedules of agents, as the settings make them.

use rustix::process::Signal;

use crate::{
    group::{Folder, Group, marun, output_of},
    settings::refused,
};

#[test]
fn a_schedule_that_no_start_could_keep() {
    let cases = [
        (
            "backend = 'OnlyOne'",
            ":2: agent.a: handler `report`: `once`: missing `broker = …`",
        ),
        (
            "backend = 'Actor'\n[agent.b]\nbackend = 'OnlyOne'\nhandlers.report.once = true",
            ":6: agent.b.handlers.report.once: missing `broker = …`",
        ),
        (
            "backend = 'Lost'",
            ":2: agent.a: handler `report`: `tz`: unknown time zone `Mars/Olympus`",
        ),
        (
            "backend = 'Unsteady'",
            ":2: agent.a: handler `tick`: `jitter`: a run starts up to this much later; less than the period, which is 1s, is allowed, not 2s",
        ),
    ];
    for (lines, expected) in cases {
        refused(&Folder::of(&format!("[agent.a]\n{lines}\n")), &[expected]);
    }
    let healed = "[agent.a]\nbackend = 'Lost'\nhandlers.report.tz = 'Europe/Berlin'\n";
    let (code, _, message) = output_of(marun(), &["check", &Folder::of(healed).settings()]);
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn a_zone_that_is_none() {
    let reason =
        "unknown time zone `Mars/Olympus`: expected an IANA name such as `UTC` or `Europe/Berlin`";
    let agent = "[agent.a]\nbackend = 'Actor'\n";
    let lost = "tz = 'Mars/Olympus'\n";
    refused(
        &Folder::of(&format!("{lost}{agent}")),
        &[":2: tz: ", reason],
    );
    refused(
        &Folder::of(&format!("{agent}{lost}")),
        &[":4: agent.a.tz: ", reason],
    );
}

#[test]
fn the_zone_of_an_agent_is_its_own_or_that_of_the_file() {
    let folder = Folder::of(
        "tz = 'Europe/Berlin'
        [agent.a]
        backend = 'Clerk'
        [agent.b]
        backend = 'Clerk'
        tz = 'Asia/Tokyo'
        [agent.c]
        backend = 'Clerk'
        handlers = { anywhere = { tz = 'America/Lima' } }
        ",
    );
    let zones = [
        ("a", "Europe/Berlin"),
        ("b", "Asia/Tokyo"),
        ("c", "America/Lima"),
    ];
    let (_, json, _) = output_of(marun(), &["info", "--json", &folder.settings()]);
    let reason: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (agent, (_, zone)) in reason["agents"].as_array().unwrap().iter().zip(zones) {
        let cron = &agent["manifest"]["cron"];
        assert_eq!(
            (&cron[0]["tz"], &cron[1]["tz"]),
            (&zone.into(), &"UTC".into())
        );
    }
    let mut group = Group::run(marun(), folder, &[]);
    group.wait_until_ready();
    for (name, zone) in zones {
        group.wait_for(&format!("{name}     | \"anywhere\" by \"{zone}\""));
        group.wait_for(&format!("{name}     | \"utc\" by \"UTC\""));
    }
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

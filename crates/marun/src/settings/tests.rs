//! The keys of a settings file: what is read, and what is refused with which words.

use std::time::Duration;

use super::*;

fn parse(file: &str, text: &str) -> Result<Settings, String> {
    let environment = |name: &str| (name == "REDIS").then(|| "redis://db/7".into());
    Settings::parse_with(Path::new(file), text, &environment).map_err(|error| error.to_string())
}

const DOCUMENTED: &str = r#"
declarations = "signals.json"
program      = "../target/release/examples"

[bus.main]
dsn    = "${REDIS}"
prefix = "PREF"
strict = true

[broker.main]
dsn = "redis://localhost/7"

[agent.user_agent]
backend  = "UserAgent"
bus      = "main"
broker   = "main"
settings = { secret = "${SECRET:-none}", n = [1, 2.5] }
grace    = "5s"
ready_timeout = 2

[agent.legacy]
command = ["python3", "-m", "legacy_agent"]
"#;

#[test]
fn the_documented_file_is_read() {
    let settings = parse("settings.toml", DOCUMENTED).unwrap();
    assert_eq!(settings.declarations.unwrap().value, "signals.json");
    assert_eq!(
        settings.program.unwrap().value,
        "../target/release/examples"
    );
    let bus = &settings.buses["main"];
    assert_eq!(bus.dsn.value, "redis://db/7");
    assert_eq!(bus.prefix.as_ref().unwrap().value, "PREF");
    assert_eq!(bus.strict, Some(true));
    assert_eq!(settings.brokers["main"].dsn.value, "redis://localhost/7");
    let agent = &settings.agents["user_agent"];
    assert_eq!(
        agent.settings.to_string(),
        r#"{"secret":"none","n":[1,2.5]}"#
    );
    assert_eq!(agent.grace, Duration::from_secs(5));
    assert_eq!(agent.ready_timeout, Duration::from_secs(2));
    let legacy = &settings.agents["legacy"];
    assert_eq!(legacy.grace, DEFAULT_GRACE);
    assert!(matches!(&legacy.member, Member::Command(command) if command.value.len() == 3));
}

#[test]
fn nobody_is_shown_a_password() {
    let text = "[bus.a]\ndsn = 'redis://u:s3cret@h/1'\n[broker.b]\ndsn = 'redis://u:s3cret@h/1'\n[agent.x]\nbackend = 'X'\n";
    let shown = format!("{:?}", parse("settings.toml", text).unwrap());
    assert!(
        !shown.contains("s3cret") && shown.contains("redis://u:***@h/1"),
        "{shown}"
    );
}

#[test]
fn json_says_the_same() {
    let text = r#"{
        "bus": {"main": {"dsn": "${REDIS}"}},
        "agent": {"a": {"backend": "A", "bus": "main", "settings": {"n": null}}}
    }"#;
    let settings = parse("settings.json", text).unwrap();
    assert_eq!(settings.buses["main"].dsn.value, "redis://db/7");
    assert_eq!(settings.agents["a"].settings.to_string(), r#"{"n":null}"#);
}

/// Each of these files is refused with a message of one line that begins so: file, line, key, what is wrong.
fn assert_refused(cases: &[(&str, &str, &str)]) {
    for (file, text, expected) in cases {
        let message = parse(file, text).unwrap_err();
        assert!(
            message.starts_with(expected),
            "{message}\nexpected: {expected}"
        );
        assert!(!message.contains('\n'), "one line: {message}");
    }
}

#[test]
fn a_wrong_file_is_refused() {
    assert_refused(&[
        (
            "x.toml",
            "",
            "x.toml: missing agent: expected at least one table `[agent.NAME]`",
        ),
        (
            "x.yaml",
            "",
            "x.yaml: unknown format (available: `.toml`, `.json`)",
        ),
        ("x", "", "x: unknown format"),
        (
            "x.toml",
            "agents = 1",
            "x.toml:1: agents: unknown key; did you mean `agent`? (available: `declarations`, `program`, `tz`, `bus`, `broker`, `agent`)",
        ),
        (
            "x.json",
            "{\"agents\": 1}",
            "x.json: agents: unknown key; did you mean `agent`?",
        ),
        ("x.toml", "[agent.a", "x.toml:1: not valid TOML: "),
    ]);
}

#[test]
fn a_wrong_bus_or_broker_is_refused() {
    assert_refused(&[
        (
            "x.toml",
            "[bus.b]\ndns = 'x'",
            "x.toml:2: bus.b.dns: unknown key; did you mean `dsn`? (available: `dsn`, `prefix`, `strict`)",
        ),
        (
            "x.toml",
            "[broker.b]\ndsn = 'x'\nprefix = 'y'",
            "x.toml:3: broker.b.prefix: unknown key (available: `dsn`)",
        ),
        (
            "x.toml",
            "[bus.b]\nprefix = 'x'",
            "x.toml:1: bus.b: missing key `dsn`",
        ),
        (
            "x.toml",
            "[bus.b]\ndsn = 7",
            "x.toml:2: bus.b.dsn: must be a string, not a number",
        ),
        (
            "x.toml",
            "[bus.b]\ndsn = '${NO}'",
            "x.toml:2: bus.b.dsn: the environment variable NO is not set",
        ),
        (
            "x.toml",
            "bus = 'x'",
            "x.toml:1: bus: must be a table, not a string",
        ),
    ]);
}

#[test]
fn a_time_that_no_clock_can_count_to_is_refused() {
    for key in ["grace", "ready_timeout", "watchdog"] {
        for time in ["9223372036854775807", "'36501 days'"] {
            let text = format!("[agent.a]\nbackend = 'A'\n{key} = {time}");
            let error = Settings::parse(Path::new("x.toml"), &text).unwrap_err();
            let time = time.trim_matches('\'');
            let expected = format!(
                "x.toml:3: agent.a.{key}: invalid duration \"{time}\": it is longer than 100 years"
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
}

#[test]
fn a_wrong_agent_is_refused() {
    assert_refused(&[
        (
            "x.toml",
            "agent.a = 'x'",
            "x.toml:1: agent.a: must be a table, not a string",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nbus = 'mian'\n[bus.main]\ndsn = 'x'",
            "x.toml:3: agent.a.bus: unknown bus `mian`; did you mean `main`? (available: `main`)",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nbroker = 'b'",
            "x.toml:3: agent.a.broker: unknown broker `b` (none is available)",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nrestart = 1",
            "x.toml:3: agent.a.restart: must be a table, not a number",
        ),
        (
            "x.toml",
            "[agent.a]",
            "x.toml:1: agent.a: missing key `backend` or `command`",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\ncommand = ['a']",
            "x.toml:3: agent.a.command: an agent has either",
        ),
        (
            "x.toml",
            "[agent.a]\ncommand = ['a']\nbus = 'a'",
            "x.toml:3: agent.a.bus: not supported with `command`",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nsettings = 1",
            "x.toml:3: agent.a.settings: must be a table",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\ngrace = 'x'",
            "x.toml:3: agent.a.grace: invalid duration \"x\": ",
        ),
        (
            "x.toml",
            "[agent.marun]\nbackend = 'A'",
            "x.toml:1: agent.marun: invalid agent name `marun`",
        ),
        (
            "x.toml",
            "[agent.'a b']\nbackend = 'A'",
            "x.toml:1: agent.a b: invalid agent name: expected",
        ),
    ]);
}

#[test]
fn wrong_handlers_are_refused() {
    assert_refused(&[
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nhandlers = [1]",
            "x.toml:3: agent.a.handlers: must be a table, not an array",
        ),
        (
            "x.toml",
            "[agent.a]\nbackend = 'A'\nhandlers.tick = 5",
            "x.toml:3: agent.a.handlers.tick: must be a table, not a number",
        ),
        (
            "x.toml",
            "[agent.a]\ncommand = ['a']\nhandlers.tick.timeout = 5",
            "x.toml:3: agent.a.handlers: not supported with `command`",
        ),
    ]);
}

#[test]
fn a_wrong_restart_is_refused() {
    let cases = [
        ("{}", "agent.a.restart: missing key `policy`"),
        (
            "{ policy = 'allways' }",
            "agent.a.restart.policy: unknown value `allways`; did you mean `always`? (available: `never`, `on_failure`, `always`)",
        ),
        (
            "{ policy = 'always', max = 0 }",
            "agent.a.restart.max: must be a whole number, 1 or more",
        ),
        (
            "{ policy = 'always', max = 1.5 }",
            "agent.a.restart.max: must be a whole number",
        ),
        (
            "{ policy = 'always', within = 0 }",
            "agent.a.restart: `within` must be longer than 0",
        ),
        (
            "{ policy = 'always', times = 3 }",
            "agent.a.restart.times: unknown key (available: `policy`, `max`, `within`)",
        ),
    ];
    for (restart, expected) in cases {
        let text = format!("[agent.a]\nbackend = 'A'\nrestart = {restart}");
        let message = parse("x.toml", &text).unwrap_err();
        let expected = format!("x.toml:3: {expected}");
        assert!(message.starts_with(&expected), "{message}\n{expected}");
    }
}

#[test]
fn restart_and_watchdog_have_their_defaults() {
    let agent = |lines: &str| {
        let text = format!("[agent.a]\n{lines}");
        parse("x.toml", &text).unwrap().agents.remove("a").unwrap()
    };
    let plain = agent("backend = 'A'");
    assert_eq!(
        (plain.restart, plain.watchdog),
        (Restart::default(), Some(DEFAULT_WATCHDOG))
    );
    assert_eq!(agent("command = ['a']").watchdog, None);
    assert_eq!(
        agent("backend = 'A'\nwatchdog = 0").watchdog,
        None,
        "0 switches it off"
    );
    let always =
        agent("command = ['a']\nrestart = { policy = 'always', max = '3', within = '1m' }");
    let expected = Restart {
        policy: RestartPolicy::Always,
        max: 3,
        within: Duration::from_secs(60),
    };
    assert_eq!(always.restart, expected);
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = "
tz = 5
[bus.main]
dns = '${NO}'
prefix = 7
[agent.a]
bakend = 'A'
bus = 'mian'
grace = '${GRACE}'
restart = { policy = 'allways', max = 0 }
settings = { key = '${KEY}', ports = [1, nan] }
[agent.b]
backend = 'B'
bus = 'main'
broker = 'none'
handlers.tick = 5
handlers.tock = 6
[agent.c]
command = ['x', 7]
tz = 'UTC'
";
    let error = parse("x.toml", text).unwrap_err();
    let expected = [
        "x.toml:2: tz: ",
        "x.toml:4: bus.main.dns: the environment variable NO",
        "x.toml:4: bus.main.dns: unknown key; did you mean `dsn`?",
        "x.toml:5: bus.main.prefix: ",
        "x.toml:7: agent.a.bakend: ",
        "x.toml:8: agent.a.bus: unknown bus `mian`; did you mean `main`?",
        "x.toml:9: agent.a.grace: the environment variable GRACE",
        "x.toml:10: agent.a.restart.policy: ",
        "x.toml:10: agent.a.restart.max: ",
        "x.toml:11: agent.a.settings.ports[1]: ",
        "x.toml:11: agent.a.settings.key: the environment variable KEY",
        "x.toml:15: agent.b.broker: ",
        "x.toml:16: agent.b.handlers.tick: ",
        "x.toml:17: agent.b.handlers.tock: ",
        "x.toml:19: agent.c.command[1]: ",
        "x.toml:20: agent.c.tz: not supported",
    ];
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{error}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn each_value_of_an_agent_has_its_place() {
    let text = "[agent.a]\nbackend = 'A'\n[agent.a.settings]\nports = [\n1,\n2]\nsmtp.host = 'h'";
    let settings = parse("x.toml", text).unwrap();
    let places = &settings.agents["a"].settings_places;
    for (key, place) in [
        ("", "x.toml:3: agent.a.settings"),
        ("ports[1]", "x.toml:6: agent.a.settings.ports[1]"),
        ("smtp.host", "x.toml:7: agent.a.settings.smtp.host"),
    ] {
        assert_eq!(
            places.get(key).map(String::as_str),
            Some(place),
            "{places:?}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Settings::read(Path::new("/nowhere/settings.toml")).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("/nowhere/settings.toml: cannot read the settings: "),
        "{message}"
    );
}

#[test]
fn the_file_of_the_guide_is_valid_and_has_every_key() {
    let guide = include_str!("../../../../docs/marun.md");
    let (_, rest) = guide.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let settings = parse("settings.toml", text).unwrap();
    assert_eq!(settings.agents["mailer"].grace, DEFAULT_GRACE);
    let keys = [TOP_KEYS, BUS_KEYS, BROKER_KEYS, agent::KEYS].concat();
    for key in keys {
        let assigned = |line: &str| line.starts_with(key) || line.starts_with(&format!("[{key}."));
        assert!(text.lines().any(assigned), "{key} is missing in the guide");
    }
}

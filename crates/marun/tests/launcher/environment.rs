//! The environment variables that the processes of a group inherit from the launcher, and variables
//! that are not text.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use rustix::process::{Pid, Signal};

use crate::group::{Folder, Group, marun, output_of};

/// An agent and a program of another kind, with variables that are secrets, and others.
const AGENTS: &str = "
    [bus.main]
    dsn = '${SHOP_BUS}'
    [broker.main]
    dsn = 'redis://:${SHOP_WORD}@${SHOP_HOST}/7'
    [agent.first]
    backend = 'Actor'
    bus = 'main'
    settings = { say = '${SHOP_SAYS}', complain = '${SHOP_API_KEY}' }
    [agent.shell]
    command = ['sleep', '${SHOP_TIME}']
";

const VARIABLES: [(&str, &str); 6] = [
    ("SHOP_BUS", "local:data"),
    ("SHOP_WORD", "s3cret"),
    ("SHOP_HOST", "db.example"),
    ("SHOP_SAYS", "hello"),
    ("SHOP_API_KEY", "k3y"),
    ("SHOP_TIME", "600"),
];

/// Which of these variables a process has.
fn variables_of(pid: Pid) -> Vec<String> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap();
    let text = String::from_utf8(environment).unwrap();
    let names = text.split('\0').filter_map(|pair| pair.split_once('='));
    let ours = names.filter(|(name, _)| name.starts_with("SHOP_"));
    let mut ours: Vec<_> = ours.map(|(name, _)| name.to_owned()).collect();
    ours.sort();
    ours
}

#[test]
fn agents_and_the_sentinel_inherit_no_secret_that_the_settings_name() {
    let mut launcher = marun();
    launcher.envs(VARIABLES);
    let mut group = Group::run(launcher, Folder::of(AGENTS), &[]);
    let pids = group.wait_until_ready();
    assert_eq!(
        variables_of(pids["first"]),
        ["SHOP_HOST", "SHOP_SAYS", "SHOP_TIME"]
    );
    assert_eq!(variables_of(group.sentinel()), [""; 0]);
    assert_eq!(variables_of(pids["shell"]).len(), VARIABLES.len());
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    // It got them otherwise.
    group.assert_has(&["| hello"]);
}

#[test]
fn a_variable_that_is_not_text_is_refused() {
    let latin1 = OsStr::from_bytes(b"stra\xdfe");
    let folder = Folder::of("[agent.first]\nbackend = '${SHOP_AGENT:-Actor}'\n");
    for (name, place) in [
        ("SHOP_AGENT", "settings.toml:3: agent.first.backend: "),
        ("RUST_LOG", "marun: "),
        ("WATCHDOG_USEC", "marun: "),
    ] {
        let mut launcher = marun();
        launcher.env(name, latin1);
        let (code, out, message) = output_of(launcher, &["check", &folder.settings()]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{message}");
        let expected = format!("{place}invalid environment variable {name}: expected UTF-8 text\n");
        assert!(message.ends_with(&expected), "{message}");
    }
}

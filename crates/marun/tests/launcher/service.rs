//! A group as a service of systemd, which is played here by its socket: `sd_notify`.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::group::{Folder, Group, LONG, marun};

/// A program that would talk to the service manager if it could.
const CURIOUS: &str = "
    [agent.shell]
    command = ['sh', '-c', 'echo manager [$NOTIFY_SOCKET] [$WATCHDOG_USEC]; exec sleep 600']
    grace = 7
";

fn next(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = manager.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Returns the next message that is not a keep-alive.
fn next_news(manager: &UnixDatagram) -> String {
    loop {
        let news = next(manager);
        if news != "WATCHDOG=1" {
            return news;
        }
    }
}

#[test]
fn the_service_manager_is_told_of_start_life_and_stop() {
    let folder = Folder::of(CURIOUS);
    let address = folder.path("notify");
    let manager = UnixDatagram::bind(&address).unwrap();
    manager.set_read_timeout(Some(LONG)).unwrap();
    let mut launcher = marun();
    launcher.env("NOTIFY_SOCKET", &address);
    launcher.env("WATCHDOG_USEC", "100000");
    let mut group = Group::run(launcher, folder, &[]);
    loop {
        let news = next_news(&manager);
        if news.starts_with("READY=1") {
            break;
        }
        assert!(news.starts_with("STATUS="), "{news}");
    }
    // It goes on while nothing happens.
    for _ in 0..3 {
        assert_eq!(next(&manager), "WATCHDOG=1");
    }
    group.signal(Signal::TERM);
    let news = next_news(&manager);
    assert!(
        news.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=7500000\n"),
        "{news}"
    );
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["manager [] []"]);
}

#[test]
fn without_a_service_manager_the_group_runs() {
    let mut launcher = marun();
    launcher.env("NOTIFY_SOCKET", "/nowhere/notify");
    let mut group = Group::run(launcher, Folder::of(CURIOUS), &[]);
    group.wait_until_ready();
    group.assert_has(&["WARN", "cannot notify the service manager"]);
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

//! Declarations that are on the web.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::Signal;

use crate::group::{Folder, Group, marun, output_of, program_path};

/// The launcher loads them once, and the processes of its agents take what it has read.
#[test]
fn declarations_are_loaded_from_the_web_once_for_all_agents() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        let text = r#"{"version": 2, "signals": [], "queues": []}"#;
        for asked in web.incoming() {
            let mut asked = asked.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = BufReader::new(asked.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let length = text.len();
            write!(
                asked,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
            )
            .unwrap();
        }
    });
    let program = program_path();
    let settings = format!(
        "program = {program:?}\ndeclarations = 'http://who:s3cr3t@{address}/signals.json?t=s3cr3t'\n\
         [agent.a]\nbackend = 'Actor'\n[agent.b]\nbackend = 'Actor'\n"
    );
    let folder = Folder::with(&settings);
    let (code, info, _) = output_of(marun(), &["info", "--json", &folder.settings()]);
    assert_eq!(code, Some(0), "{info}");
    let shown = format!("\"declarations\": \"http://{address}/signals.json?…\"");
    assert!(info.contains(&shown) && !info.contains("s3cr3t"), "{info}");
    assert_eq!(requests.swap(0, Ordering::SeqCst), 1);

    let mut launcher = marun();
    launcher.env("RUST_LOG", "trace");
    let mut group = Group::run(launcher, folder, &[]);
    group.wait_until_ready();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert!(!group.log().contains("s3cr3t"), "{}", group.log());
}

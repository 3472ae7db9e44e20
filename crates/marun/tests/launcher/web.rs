//! Declarations that are on the web.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use rustix::process::Signal;

use crate::group::{Folder, Group, marun, program_path};

/// The launcher and the agent's process load them, each by itself.
#[test]
fn declarations_are_loaded_from_the_web() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    thread::spawn(move || {
        let text = r#"{"version": 2, "signals": [], "queues": []}"#;
        for asked in web.incoming() {
            let mut asked = asked.unwrap();
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
        "program = {program:?}\ndeclarations = 'http://{address}/signals.json'\n[agent.a]\nbackend = 'Actor'\n"
    );
    let mut group = Group::run(marun(), Folder::with(&settings), &[]);
    group.wait_until_ready();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

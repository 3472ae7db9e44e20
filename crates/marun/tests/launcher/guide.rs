//! The transcript of the guide: each of its commands is run, and says what the guide says.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::group::{Folder, Group, LONG, marun};

/// The deployment of which the guide tells; only that mails are tried again so fast is the test's.
const SHOP: &str = "
    [bus.main]
    dsn = 'local:data'
    prefix = 'SHOP'
    [broker.main]
    dsn = 'local:data'
    [agent.comments]
    backend = 'CommentAgent'
    bus = 'main'
    [agent.mailer]
    backend = 'Mailer'
    broker = 'main'
    handlers = { send = { retry = ['10ms', '10ms', '10ms'] } }
";

/// The path of the guide's settings.
const HOME: &str = "/srv/shop";

/// The commands of the guide's transcript, each with the lines that it says.
fn transcript() -> Vec<(String, Vec<String>)> {
    let guide = include_str!("../../../../docs/marun.md");
    let (_, rest) = guide
        .split_once("everything else to standard error:\n\n```sh\n")
        .unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.starts_with("marun "), commands.last_mut()) {
            (true, _) => commands.push((line.to_owned(), Vec::new())),
            (false, Some((_, output))) => output.push(line.to_owned()),
            (false, None) => panic!("nobody says `{line}`"),
        }
    }
    commands
}

/// A line of the transcript as a shell in the folder runs it, its messages among its results.
fn shell(folder: &Folder, line: &str) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_marun"))
        .parent()
        .unwrap()
        .to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path: OsString =
        env::join_paths([binaries].into_iter().chain(env::split_paths(&path))).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; exec {line}")]);
    shell
        .current_dir(folder.path(""))
        .env("PATH", path)
        .env_remove("RUST_LOG");
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    shell
}

fn run(folder: &Folder, line: &str) -> Vec<String> {
    let output = shell(folder, line).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Listens to as many lines as are expected, while the signal of the guide is sent.
fn listen(folder: &Folder, line: &str, expected: usize) -> Vec<String> {
    let mut listener = shell(folder, line).spawn().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    let mut output = vec![lines.next().unwrap().unwrap()];
    let send = "marun signal send user_created user_id:=7 --sender web --settings settings.toml";
    assert_eq!(run(folder, send), [""; 0]);
    output.extend((1..expected).map(|_| lines.next().unwrap().unwrap()));
    kill_process_group(Pid::from_child(&listener), Signal::INT).unwrap();
    assert!(listener.wait().unwrap().success());
    output
}

/// Sends a mail, and waits until so many have died.
fn send_mail(folder: &Folder, email: &str, died: &str) {
    let send = format!("marun queue send mailer text=hi email={email} --broker local:data");
    assert_eq!(run(folder, &send), [""; 0]);
    let deadline = Instant::now() + LONG;
    let length = "marun queue length mailer.dead --json --broker local:data";
    while !run(folder, length)[0].contains(&format!("\"waiting\":{died}")) {
        assert!(Instant::now() < deadline, "{email} does not die");
    }
}

/// Replaces the parts that differ between runs: the moments at which messages have died, the
/// numbers that their driver gives them, and the folder.
fn timeless(line: &str, home: &str) -> String {
    let line = line.replace(home, HOME);
    let mut text = String::new();
    let mut rest = line.as_str();
    while let Some(at) = rest.find("20") {
        let (before, moment) = rest.split_at(at);
        let length = moment
            .find(|c: char| !c.is_ascii_digit() && !"-:.TZ ".contains(c))
            .unwrap_or(moment.len());
        text.push_str(before);
        text.push_str(if length > 18 {
            "MOMENT  "
        } else {
            &moment[..length]
        });
        rest = &moment[length..];
    }
    text.push_str(rest);
    // The first cell of a row, before the moment.
    if let Some((id, rest)) = text.split_once("  MOMENT")
        && id.trim_end().parse::<u64>().is_ok()
    {
        return format!("…  MOMENT{rest}");
    }
    match text
        .split_once("{\"id\":\"")
        .and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)))
    {
        Some((before, rest)) => format!("{before}{{\"id\":\"…\"{rest}"),
        None => text,
    }
}

#[test]
fn the_transcript_of_the_guide_is_what_the_commands_say() {
    let folder = Folder::of(SHOP);
    let home = folder
        .path("")
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let mut group = Group::run(marun(), folder.clone(), &[]);
    group.wait_until_ready();
    send_mail(&folder, "user@lwr.pw", "1");
    send_mail(&folder, "nobody@lwr.pw", "2");
    let transcript = transcript();
    assert!(transcript.len() >= 6, "the guide has lost its transcript");
    for (line, expected) in transcript {
        let output = if line.starts_with("marun signal listen") {
            listen(&folder, &line, expected.len())
        } else {
            run(&folder, &line)
        };
        // A schedule's moments are always the same.
        let same = |text: &String| {
            if line.starts_with("marun cron") {
                text.clone()
            } else {
                timeless(text, &home)
            }
        };
        let output: Vec<_> = output.iter().map(same).collect();
        let expected: Vec<_> = expected.iter().map(same).collect();
        assert_eq!(output, expected, "{line}");
    }
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

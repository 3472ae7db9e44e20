//! Runs the tutorial as a reader would: it writes the files that the page shows, runs the commands, and compares their output.
//!
//! The page is the script. A line that is only a file name in backquotes names the block that follows it; `sh` blocks are
//! commands, and `text` blocks are output: lines with a `|` of the running group, others of the last command.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    fs::{self, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use rustix::process::Signal;

#[path = "shared/running.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod running;

use running::Group;

/// The longest duration of the first build, and of each step after it, on a busy machine.
const STEP: Duration = Duration::from_secs(900);
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// One thing that the reader does or compares.
enum Step<'a> {
    Write { file: &'a str, text: String },
    Append { file: &'a str, text: String },
    Run(&'a str),
    Compare(&'a str),
}

fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    let mut file = None;
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            match (file.take(), language) {
                (Some((file, append)), _) => steps.push(shown_file(file, append, &block)),
                (None, "sh") => steps.extend(block.into_iter().map(Step::Run)),
                (None, "text") => steps.extend(block.into_iter().map(Step::Compare)),
                (None, language) => panic!("a block of `{language}` without a file name"),
            }
        } else if let Some(name) = line.strip_prefix('`') {
            file = match name.split_once('`') {
                Some((name, "")) => Some((name, false)),
                Some((name, " (append)")) => Some((name, true)),
                _ => None,
            };
        }
    }
    steps
}

fn shown_file<'a>(file: &'a str, append: bool, block: &[&str]) -> Step<'a> {
    let text = format!("{}\n", block.join("\n"));
    if append {
        Step::Append { file, text }
    } else {
        Step::Write { file, text }
    }
}

/// The reader's two terminals.
struct Reader {
    folder: PathBuf,
    group: Option<Group>,
    output: Vec<String>,
}

impl Reader {
    /// Creates an empty folder with a clone of this repository. The folder is outside of this workspace, to which `cargo new` would
    /// add the package, and has the same name each time, so that earlier builds of its dependencies are used.
    fn new() -> io::Result<Self> {
        let mut hasher = DefaultHasher::new();
        ROOT.hash(&mut hasher);
        let name = format!("microagent-tutorial-{:x}", hasher.finish());
        let folder = env::temp_dir().join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        symlink(fs::canonicalize(ROOT)?, folder.join("microagent"))?;
        Ok(Self {
            folder,
            group: None,
            output: Vec::new(),
        })
    }

    fn does(&mut self, step: &Step<'_>) {
        match step {
            Step::Write { file, text } => self.writes(file, text),
            Step::Append { file, text } => {
                let mut options = OpenOptions::new();
                let mut file = options.append(true).open(self.folder.join(file)).unwrap();
                file.write_all(format!("\n{text}").as_bytes()).unwrap();
            }
            Step::Run(command) => self.runs(command),
            Step::Compare(line) => self.compares(line),
        }
    }

    fn writes(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        if file == "Cargo.toml" {
            // The versions of the workspace, so that no registry is asked.
            let lock = Path::new(ROOT).join("Cargo.lock");
            fs::copy(lock, self.folder.join("Cargo.lock")).unwrap();
        }
    }

    fn runs(&mut self, line: &str) {
        if let Some(folder) = line.strip_prefix("cd ") {
            self.folder.push(folder);
        } else if line.ends_with("-- settings.toml") {
            self.starts_the_group(line);
        } else {
            let Output {
                status,
                stdout,
                stderr,
            } = self.shell(line).output().unwrap();
            let stderr = String::from_utf8_lossy(&stderr);
            assert!(status.success(), "`{line}`: {status}\n{stderr}");
            let stdout = String::from_utf8(stdout).unwrap();
            self.output = stdout.lines().map(words).collect();
        }
    }

    /// A command as a shell runs it. It builds with the workspace's target folder and profile, so the package of the tutorial
    /// must not be called like a program of the workspace: one would replace the other.
    fn shell(&self, line: &str) -> Command {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]);
        shell
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env_remove("RUST_LOG");
        shell
    }

    fn starts_the_group(&mut self, line: &str) {
        self.presses_ctrl_c();
        let mut group = Group::start(self.shell(line));
        group.wait_for_line("all agents are ready", STEP);
        self.group = Some(group);
    }

    /// Ends the group. `cargo run` has replaced itself by the launcher, so the signal reaches that.
    fn presses_ctrl_c(&mut self) {
        if let Some(mut group) = self.group.take() {
            group.signal(Signal::INT);
            let status = group.wait_for_end(STEP);
            assert_eq!(status.code(), Some(0), "{}", group.log());
        }
    }

    /// A line of a group is waited for; one of a command must have been printed after those before it.
    fn compares(&mut self, line: &str) {
        if let Some((agent, text)) = line.split_once('|') {
            let group = self.group.as_mut().unwrap();
            let (_, text) = text.split_once("INFO ").unwrap();
            return group.wait_for(agent.trim(), text, STEP);
        }
        let expected = words(line);
        let found = self.output.iter().position(|line| fits(line, &expected));
        let found = found.unwrap_or_else(|| panic!("no `{expected}` in {:#?}", self.output));
        self.output.drain(..=found);
    }
}

/// The line with one space for each gap.
fn words(line: &str) -> String {
    Vec::from_iter(line.split_whitespace()).join(" ")
}

/// Returns whether the line is the expected one; `…` in the expected line stands for any text.
fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        (rest, last) = (behind, part);
    }
    rest.is_empty() || (expected.ends_with('…') && last.is_empty())
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let page = include_str!("../../docs/tutorial.md");
    let steps = steps(page);
    assert!(steps.len() > 35, "only {} steps were found", steps.len());
    let mut reader = Reader::new().unwrap();
    for step in &steps {
        reader.does(step);
    }
    reader.presses_ctrl_c();
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (line, expected, same) in [
        ("a b", "a b", true),
        ("a b", "a", false),
        ("took 1.5 s", "took … s", true),
        ("took 1.5 s", "took …", true),
        ("2026 terminal 1", "… terminal 2", false),
    ] {
        assert_eq!(fits(line, expected), same, "{line} / {expected}");
    }
}

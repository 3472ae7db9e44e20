//! An agent that needs no connection and follows its script.

use std::{
    fs::File,
    future::pending,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, exit},
    sync::{Arc, Mutex},
    thread,
};

use microagent_core::{Blueprint, Context, MicroAgent, Result, ServerInterrupt};
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The settings of an [`Actor`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Script {
    /// At its creation: `fail`, `panic`, `exit`, `hang`, or `wait` for `pipe`.
    start: String,
    /// The text that it then prints to standard output, unchanged, and to standard error.
    say: String,
    complain: String,
    /// The number of lines that it then logs to a standard output that was made non-blocking.
    chatter: u32,
    /// It starts a process that ignores SIGTERM.
    child: bool,
    /// It starts a process that leaves its session and its parent: `kept`, or `forgetful`, which
    /// also clears its environment.
    daemon: String,
    /// On SIGUSR1: `end`, `fail`, `panic`, `exit`, or `block` the runtime, if there is a `pipe`
    /// until something is written to it.
    act: String,
    pipe: Option<PathBuf>,
    /// When it stops: `slow` works until it is cancelled, `deaf` never returns, `wait` waits for
    /// `pipe`.
    stop: String,
}

pub(crate) struct Actor {
    script: Script,
    go: Mutex<Option<Signal>>,
}

impl MicroAgent for Actor {
    const NAME: &'static str = "Actor";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new()
            .server("act", |agent, cx| {
                let (agent, cx): (Arc<Self>, _) = (Arc::clone(agent), cx.clone());
                Box::pin(async move {
                    tokio::select! {
                        result = agent.act() => result,
                        () = cx.shutdown() => Ok(()),
                    }
                })
            })
            .pre_stop("last_words", |agent, cx| {
                let (agent, cx) = (Arc::clone(agent), cx.clone());
                Box::pin(async move { agent.last_words(&cx).await })
            })
    }

    async fn create(cx: &Context) -> Result<Self> {
        let script: Script = cx.settings()?;
        print(&mut io::stdout(), &script.say);
        print(&mut io::stderr(), &script.complain);
        if script.chatter > 0 {
            rustix::io::ioctl_fionbio(io::stdout(), true).map_err(io::Error::from)?;
            (1..=script.chatter).for_each(|number| tracing::info!("chatter {number}"));
        }
        if script.child {
            // It says its number itself, and that it is ready to ignore what comes.
            Command::new("sh")
                .args([
                    "-c",
                    "trap '' TERM; echo child $$; while :; do sleep 1; done",
                ])
                .spawn()?;
        }
        start_daemon(&script.daemon)?;
        let go = Mutex::new(Some(signal(SignalKind::user_defined1())?));
        match script.start.as_str() {
            "fail" => return Err("no database".into()),
            "panic" => panic!("at its creation"),
            "exit" => exit(0),
            "wait" => {
                println!("waiting");
                block(script.pipe.as_deref());
            }
            "hang" => {
                println!("hanging");
                pending::<()>().await;
            }
            _ => {}
        }
        Ok(Self { script, go })
    }
}

impl Actor {
    async fn act(&self) -> Result<()> {
        let go = self.go.lock().unwrap().take();
        go.unwrap().recv().await;
        match self.script.act.as_str() {
            "end" => Err(ServerInterrupt.into()),
            "fail" => Err("smtp said no".into()),
            "panic" => panic!("in its server"),
            "exit" => exit(7),
            "block" => {
                block_the_runtime(self.script.pipe.as_deref());
                pending().await
            }
            _ => Ok(()),
        }
    }

    async fn last_words(&self, cx: &Context) -> Result<()> {
        println!("last words of {}", cx.name());
        match self.script.stop.as_str() {
            "slow" => pending().await,
            "deaf" => sleep_for_ever(),
            "wait" => {
                block(self.script.pipe.as_deref());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Its parent is gone at once, so it belongs to nobody.
fn start_daemon(kind: &str) -> io::Result<()> {
    let environment = match kind {
        "" => return Ok(()),
        "forgetful" => "env -i",
        _ => "",
    };
    let daemon = "trap \"\" TERM HUP; echo daemon $$; while :; do sleep 1; done";
    let script = format!("setsid {environment} sh -c '{daemon}' &");
    Command::new("sh").args(["-c", &script]).status().map(drop)
}

/// Takes every thread of the runtime, as handlers do that wait where they must not.
fn block_the_runtime(pipe: Option<&Path>) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..4 * threads {
        let pipe = pipe.map(Path::to_owned);
        tokio::spawn(async move { block(pipe.as_deref()) });
    }
    block(pipe);
}

fn block(pipe: Option<&Path>) {
    match pipe {
        // A pipe opens when its other end does.
        Some(pipe) => drop(File::open(pipe).unwrap()),
        None => sleep_for_ever(),
    }
}

fn sleep_for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn print(to: &mut impl Write, text: &str) {
    to.write_all(text.as_bytes()).unwrap();
    to.flush().unwrap();
}

//! A private Redis.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use microagent_core::{Error, ErrorKind, Result, driver::lock};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::process::{Process, Server, free_port, program_of};

/// The time within which a started server must answer.
const START: Duration = Duration::from_secs(20);

/// The pause between two requests to a server that is starting.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// The timeout of one command.
const ANSWER: Duration = Duration::from_secs(5);

/// A private `redis-server`, with an append-only file and without eviction. Dropping it ends the server and removes its
/// folder.
///
/// ```no_run
/// use microagent_testing::RedisServer;
///
/// # async fn example() -> microagent_core::Result<()> {
/// let server = RedisServer::start().await?;
/// println!("{}", server.dsn());
/// server.kill();                // confirmed writes are in its file
/// server.restart().await?;      // the same port, the same data
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    process: Mutex<Process>,
    program: PathBuf,
    settings: Vec<String>,
    folder: TempDir,
    port: u16,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `SKIP_SERVICES` names `redis`, [`ErrorKind::Configuration`] if there is no
    /// `redis-server`, [`ErrorKind::Timeout`] if it does not answer.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with these command line arguments after the usual ones, which they override.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(arguments: &[&str]) -> Result<Self> {
        let program = program_of("redis", "redis-server")?;
        let deadline = Instant::now() + START;
        loop {
            let port = free_port()?;
            let folder = tempfile::tempdir().map_err(|error| {
                Error::new(ErrorKind::Driver, format!("there is no folder: {error}"))
            })?;
            let settings = settings(port, &folder, arguments);
            let server = Self {
                process: Mutex::new(Process::start(
                    &program,
                    &settings,
                    &folder.path().join("log"),
                )?),
                program: program.clone(),
                settings,
                folder,
                port,
            };
            if server.answers(deadline).await? {
                return Ok(server);
            }
            // Another process took the port meanwhile.
        }
    }

    /// Starts the only node of a cluster, which has all slots and is ready.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_cluster() -> Result<Self> {
        let server = Self::start_with(&["--cluster-enabled", "yes"]).await?;
        let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
        server.command(&slots).await?;
        let deadline = Instant::now() + START;
        while !server
            .command(&["CLUSTER", "INFO"])
            .await?
            .contains("cluster_state:ok")
        {
            if Instant::now() > deadline {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "the cluster does not come up",
                ));
            }
            sleep(ASK_AGAIN).await;
        }
        Ok(server)
    }

    /// Returns the DSN, `redis://127.0.0.1:PORT/7`.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("redis://{}/7", self.address())
    }

    /// Returns the address, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the path of the Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Kills the process, as `kill -9` does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops the process: connections stay open, and it does not answer.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Continues a [frozen](Self::freeze) process.
    pub fn thaw(&self) {
        self.process().thaw();
    }

    /// Ends the process, starts another on the same port and the same files, and waits until it answers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        let log = self.folder.path().join("log");
        loop {
            self.kill();
            *self.process() = Process::start(&self.program, &self.settings, &log)?;
            if self.answers(deadline).await? {
                return Ok(());
            }
            // Another process may have the port for a moment.
            sleep(ASK_AGAIN).await;
        }
    }

    /// Cuts all connections; the server keeps running.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the server does not answer.
    pub async fn cut(&self) -> Result<()> {
        self.command(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
        Ok(())
    }

    /// Sends a command over a connection of its own, to database 0, and returns the text of the reply: a status, a number or a
    /// bulk string is complete, of an array it is the first line.
    ///
    /// # Errors
    /// [`ErrorKind::Driver`] with an error of the server; [`ErrorKind::Unavailable`] if it does not answer.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        let away = |why: String| Error::new(ErrorKind::Unavailable, format!("redis {why}"));
        match timeout(ANSWER, self.ask(words)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(away(format!("cannot be asked: {error}"))),
            Err(_) => Err(away("does not answer".to_owned())),
        }
    }

    async fn ask(&self, words: &[&str]) -> std::io::Result<Result<String>> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((kind, text)) = line.trim_end().split_at_checked(1) else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        Ok(match (kind, text.parse::<usize>()) {
            ("-", _) => Err(Error::new(
                ErrorKind::Driver,
                format!("redis answered {text}"),
            )),
            ("$", Ok(length)) => {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
            _ => Ok(text.to_owned()),
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        lock(&self.process)
    }
}

impl Server for RedisServer {
    const NAME: &str = "redis-server";
    const ASK_AGAIN: Duration = ASK_AGAIN;

    fn child(&self) -> &Mutex<Process> {
        &self.process
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn is_answering(&self) -> bool {
        let own = format!("process_id:{}\r\n", self.process().id());
        // Another server may have the port.
        let is_own = self.command(&["INFO", "server"]).await;
        let is_own = is_own.is_ok_and(|info| info.contains(&own));
        // While the server reads its file it answers, but not this command.
        is_own && self.command(&["PING"]).await.is_ok()
    }
}

fn settings(port: u16, folder: &TempDir, more: &[&str]) -> Vec<String> {
    let folder = folder.path();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let own = [
        ("--port", port.to_string()),
        ("--bind", "127.0.0.1".to_owned()),
        ("--dir", text(folder.to_owned())),
        ("--unixsocket", text(folder.join("socket"))),
        ("--appendonly", "yes".to_owned()),
        ("--save", String::new()),
        ("--maxmemory-policy", "noeviction".to_owned()),
    ];
    let own = own
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value]);
    own.chain(more.iter().map(|&argument| argument.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::needs! {
        redis {
            async fn a_server_starts_empty_and_keeps_its_data_over_a_kill,
            async fn arguments_override_and_nothing_stays,
        }
    }

    async fn a_server_starts_empty_and_keeps_its_data_over_a_kill() {
        let server = RedisServer::start().await.unwrap();
        assert_eq!(server.command(&["DBSIZE"]).await.unwrap(), "0");
        server.command(&["SET", "key", "value"]).await.unwrap();
        server.kill();
        let error = server.command(&["PING"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        server.restart().await.unwrap();
        assert_eq!(server.command(&["GET", "key"]).await.unwrap(), "value");
        let refused = server.command(&["LPOP", "key"]).await.unwrap_err();
        assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
    }

    async fn arguments_override_and_nothing_stays() {
        let evicting = ["--maxmemory-policy", "allkeys-lru"];
        let server = RedisServer::start_with(&evicting).await.unwrap();
        let info = server.command(&["INFO", "memory"]).await.unwrap();
        assert!(info.contains("maxmemory_policy:allkeys-lru"), "{info}");
        let folder = server.folder.path().to_owned();
        assert!(folder.join("socket").exists());
        drop(server);
        assert!(!folder.exists());
    }
}

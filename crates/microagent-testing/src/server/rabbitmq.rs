//! A private RabbitMQ.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use microagent_core::{Error, ErrorKind, Result, driver::lock};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{
    process::{Process, Server, check_wanted, free_ports, program_of},
    watcher::Watcher,
};

/// The longest time until a new server answers. The Erlang machine needs 6 s of processor time.
const START: Duration = Duration::from_secs(300);

/// The pause between requests to a starting server.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The longest time for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The longest time for `rabbitmqctl`, which starts an Erlang machine of its own.
const CONTROL: Duration = Duration::from_secs(180);

/// The folder of the programs that neither change the user nor read the settings of the machine.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A `rabbitmq-server` of one's own, with its own node name, ports, cookie, folders and `epmd`. It ends
/// when this is dropped or when the process of the tests ends, and its folder goes with it.
///
/// ```no_run
/// use microagent_testing::RabbitMqServer;
///
/// # async fn example() -> microagent_core::Result<()> {
/// let server = RabbitMqServer::start().await?;
/// println!("{}", server.dsn());
/// server.kill();                // what was confirmed and durable is in its files
/// server.restart().await?;      // the same port, the same data
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RabbitMqServer {
    // The order is that of dropping: the server, its helper, then the one that watches both.
    server: Mutex<Process>,
    _epmd: Process,
    _watcher: Watcher,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
}

impl RabbitMqServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when `SKIP_SERVICES` names `rabbitmq`, [`ErrorKind::Configuration`] when there is
    /// no `rabbitmq-server`, [`ErrorKind::Timeout`] when it does not answer.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// Starts a server with these settings, in the Erlang terms of an `advanced.config`, such as
    /// `{rabbit, [{consumer_timeout, 3000}]}`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(advanced: &str) -> Result<Self> {
        program()?;
        let deadline = Instant::now() + START;
        loop {
            let server = Self::launch(advanced)?;
            if server.answers(deadline).await? {
                return Ok(server);
            }
            // Somebody else took one of the ports meanwhile.
        }
    }

    fn launch(advanced: &str) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(no_folder)?;
        let [port, distribution, names] = free_ports()?;
        let path = folder.path();
        write_files(path, port, advanced).map_err(no_folder)?;
        let environment = environment(path, port, distribution, names);
        let epmd = start_epmd(path, names, &environment)?;
        let server = start_server(path, &environment)?;
        Ok(Self {
            _watcher: Watcher::start(path, &["pid", "epmd.pid"]).map_err(no_folder)?,
            server: Mutex::new(server),
            _epmd: epmd,
            environment,
            folder,
            port,
        })
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/`.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("amqp://guest:guest@{}/", self.address())
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops the process where it stands: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Lets a [frozen](Self::freeze) process go on.
    pub fn thaw(&self) {
        self.process().thaw();
    }

    /// Ends the process, starts another on the same ports and the same files, and waits until it answers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            self.kill();
            *self.process() = start_server(self.folder.path(), &self.environment)?;
            if self.answers(deadline).await? {
                return Ok(());
            }
            // The name of the node is registered until its old connection is noticed.
            sleep(ASK_AGAIN).await;
        }
    }

    /// Runs `rabbitmqctl` with these arguments and returns what it prints.
    ///
    /// # Errors
    /// [`ErrorKind::Driver`] with what it says; [`ErrorKind::Timeout`] when it does not end.
    pub async fn control(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(Path::new(PROGRAMS).join("rabbitmqctl"));
        command
            .arg("-q")
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        let running = tokio::task::spawn_blocking(move || command.output());
        let failed = |text: String| Error::new(ErrorKind::Driver, format!("rabbitmqctl: {text}"));
        match timeout(CONTROL, running).await {
            Ok(Ok(Ok(output))) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Ok(Ok(Ok(output))) => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
            Ok(Ok(Err(error))) => Err(failed(error.to_string())),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "rabbitmqctl did not end")),
        }
    }

    /// Returns true if whoever has the port answers the protocol header.
    async fn greets(&self) -> bool {
        let greeting = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
            stream.read_u8().await
        };
        // The first byte of a frame with a method.
        matches!(timeout(ANSWER, greeting).await, Ok(Ok(1)))
    }

    /// Returns true if the server that wrote the file is our process: another may have the port.
    fn has_own_pid(&self) -> bool {
        let written = fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
        written.trim() == self.process().id().to_string()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        lock(&self.server)
    }
}

impl Server for RabbitMqServer {
    const NAME: &str = "rabbitmq-server";
    const ASK_AGAIN: Duration = ASK_AGAIN;

    fn child(&self) -> &Mutex<Process> {
        &self.server
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn is_answering(&self) -> bool {
        self.greets().await && self.has_own_pid()
    }
}

fn program() -> Result<PathBuf> {
    check_wanted("rabbitmq")?;
    let program = Path::new(PROGRAMS).join("rabbitmq-server");
    if program.is_file() {
        return Ok(program);
    }
    program_of("rabbitmq", "rabbitmq-server")
}

fn start_server(folder: &Path, environment: &[(String, String)]) -> Result<Process> {
    // The file of the process before tells nothing of this one.
    let _ = fs::remove_file(folder.join("pid"));
    Process::start_in(folder, &program()?, &[], environment)
}

fn start_epmd(folder: &Path, port: u16, environment: &[(String, String)]) -> Result<Process> {
    let arguments = ["-address", "127.0.0.1", "-port", &port.to_string()].map(str::to_owned);
    let epmd = Process::start_in(
        folder,
        &program_of("rabbitmq", "epmd")?,
        &arguments,
        environment,
    )?;
    fs::write(folder.join("epmd.pid"), epmd.id().to_string()).map_err(no_folder)?;
    Ok(epmd)
}

fn write_files(folder: &Path, port: u16, advanced: &str) -> std::io::Result<()> {
    fs::create_dir(folder.join("home"))?;
    fs::write(folder.join("enabled_plugins"), "[].\n")?;
    fs::write(
        folder.join("rabbitmq.conf"),
        format!("listeners.tcp.1 = 127.0.0.1:{port}\n"),
    )?;
    fs::write(folder.join("advanced.config"), format!("[{advanced}].\n"))
}

fn environment(folder: &Path, port: u16, distribution: u16, names: u16) -> Vec<(String, String)> {
    let text = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let own = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none";
    let variables = [
        ("HOME", text("home")),
        ("ERL_EPMD_PORT", names.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        // It becomes the Erlang machine itself, so the number of our child is the server's.
        ("RUNNING_UNDER_SYSTEMD", "yes".to_owned()),
        ("RABBITMQ_NODENAME", format!("ma{port}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("RABBITMQ_MNESIA_BASE", text("mnesia")),
        ("RABBITMQ_LOG_BASE", text("log")),
        ("RABBITMQ_PID_FILE", text("pid")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", text("enabled_plugins")),
        ("RABBITMQ_CONFIG_FILE", text("rabbitmq")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", text("advanced.config")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", own.to_owned()),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

fn no_folder(error: std::io::Error) -> Error {
    let text = format!("cannot prepare the folder of a RabbitMQ: {error}");
    Error::new(ErrorKind::Driver, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::needs! {
        rabbitmq {
            async fn a_server_answers_again_after_a_kill_and_keeps_its_users,
        }
    }

    async fn a_server_answers_again_after_a_kill_and_keeps_its_users() {
        let server = RabbitMqServer::start().await.unwrap();
        let add = ["add_user", "shop", "s3cret"];
        server.control(&add).await.unwrap();
        server.kill();
        assert!(!server.greets().await);
        server.restart().await.unwrap();
        let users = server.control(&["list_users"]).await.unwrap();
        assert!(users.contains("shop") && users.contains("guest"), "{users}");
        let refused = server.control(&add).await.unwrap_err();
        assert!(refused.to_string().contains("already exists"), "{refused}");

        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(!folder.exists());
    }
}

//! A private Kafka.

use std::{
    fs,
    path::{Path, PathBuf},
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
    cache,
    process::{Process, Server, check_wanted, free_ports, program_of},
    watcher::Watcher,
};

/// The longest time until a new server answers. The Java machine needs 4 s of processor time.
const START: Duration = Duration::from_secs(300);

/// The longest time until a server that was asked to stop has ended.
const STOP: Duration = Duration::from_secs(60);

/// The pause between requests to a server that is starting or stopping.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The longest time for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The folder of the jars, in the user's cache. `scripts/services` fetches them.
const JARS: &str = "microagent/kafka-4.1.2";

/// A Kafka of one node in KRaft mode, with its own ports and folder. It ends when this is dropped or when the process of
/// the tests ends, and its folder is removed with it.
///
/// ```no_run
/// use microagent_testing::KafkaServer;
///
/// # async fn example() -> microagent_core::Result<()> {
/// let server = KafkaServer::start().await?;
/// println!("{}", server.dsn());
/// server.kill();                // what was written is in its files
/// server.restart().await?;      // the same ports, the same data
/// server.stop().await?;         // as an administrator does it
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct KafkaServer {
    // The order is that of dropping.
    server: Mutex<Process>,
    _watcher: Watcher,
    folder: TempDir,
    cluster: String,
    port: u16,
}

impl KafkaServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `SKIP_SERVICES` names `kafka`, [`ErrorKind::Configuration`] if Java or the jars are
    /// missing, [`ErrorKind::Timeout`] if it does not answer.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with these lines of `server.properties` after the usual ones, which they override. `{port}` and
    /// `{control}` in them are its ports, for a line that sets its listeners.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(properties: &[&str]) -> Result<Self> {
        Self::start_with_users(properties, &[]).await
    }

    /// Starts a server with these lines and these SCRAM logins, as `--add-scram` of Kafka's tool reads them:
    /// `SCRAM-SHA-256=[name=NAME,password=PASSWORD]`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_users(properties: &[&str], users: &[&str]) -> Result<Self> {
        check_wanted("kafka")?;
        let deadline = Instant::now() + START;
        loop {
            let server = Self::launch(properties, users, deadline).await?;
            if server.answers(deadline).await? {
                return Ok(server);
            }
            // Another process took one of the ports meanwhile.
        }
    }

    async fn launch(properties: &[&str], users: &[&str], deadline: Instant) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(no_folder)?;
        let path = folder.path();
        let ([port, control], cluster) = (free_ports()?, new_cluster());
        write_files(path, port, control, properties).map_err(no_folder)?;
        format(path, &cluster, users, deadline).await?;
        let server = start_server(path)?;
        Ok(Self {
            server: Mutex::new(server),
            _watcher: Watcher::start(path, &["pid"]).map_err(no_folder)?,
            folder,
            cluster,
            port,
        })
    }

    /// Returns the DSN, `kafka://127.0.0.1:PORT`.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("kafka://{}", self.address())
    }

    /// Returns `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Asks the process to stop, as an administrator does, and waits until it has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it does not end; it is killed then.
    pub async fn stop(&self) -> Result<()> {
        self.process().terminate();
        let deadline = Instant::now() + STOP;
        while !self.process().has_ended() {
            if Instant::now() > deadline {
                self.kill();
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "the Kafka did not stop in time",
                ));
            }
            sleep(ASK_AGAIN).await;
        }
        Ok(())
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
            *self.process() = start_server(self.folder.path())?;
            if self.answers(deadline).await? {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.no_answer());
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Returns true if the server on the port is this one and knows a broker. It accepts connections before it does.
    async fn describes_itself(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        // A request for metadata, version 4: a number of the request, no name of the client, no topics, none created.
        let request = [0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0];
        stream.write_i32(15).await?;
        stream.write_all(&request).await?;
        let length = stream.read_i32().await?;
        let mut answer = vec![0; usize::try_from(length).unwrap_or_default().min(1 << 16)];
        stream.read_exact(&mut answer).await?;
        // After the number of the request and a time comes the number of brokers; behind the brokers, the cluster.
        let brokers = answer.get(8..12).is_some_and(|count| count != [0; 4]);
        let id = self.cluster.as_bytes();
        Ok(brokers && answer.windows(id.len()).any(|part| part == id))
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        lock(&self.server)
    }
}

impl Server for KafkaServer {
    const NAME: &str = "Kafka";
    const ASK_AGAIN: Duration = ASK_AGAIN;

    fn child(&self) -> &Mutex<Process> {
        &self.server
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn is_answering(&self) -> bool {
        matches!(timeout(ANSWER, self.describes_itself()).await, Ok(Ok(true)))
    }
}

/// Returns an id of a cluster: 16 bytes in base64. It distinguishes this server from another that took its port.
fn new_cluster() -> String {
    let random: String = (0..20).map(|_| fastrand::alphanumeric()).collect();
    // The first character must not be a dash, and the last one has two bits.
    format!("M{random}g")
}

fn write_files(folder: &Path, port: u16, control: u16, more: &[&str]) -> std::io::Result<()> {
    let data = folder.join("data");
    let properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{control}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={}\n\
         num.partitions=1\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         {}\n",
        data.display(),
        more.join("\n")
            .replace("{port}", &port.to_string())
            .replace("{control}", &control.to_string()),
    );
    fs::write(folder.join("server.properties"), properties)?;
    let log = "rootLogger.level=warn\n\
               rootLogger.appenderRef.a.ref=A\n\
               appender.a.type=Console\n\
               appender.a.name=A\n\
               appender.a.layout.type=PatternLayout\n\
               appender.a.layout.pattern=%d %p %c %m%n\n";
    fs::write(folder.join("log4j2.properties"), log)
}

/// Prepares the folder of the data.
async fn format(folder: &Path, cluster: &str, users: &[&str], deadline: Instant) -> Result<()> {
    let mut formatting = vec!["format", "-t", cluster, "-c", "server.properties"];
    for user in users {
        formatting.extend(["--add-scram", user]);
    }
    let mut process = start_java(folder, "kafka.tools.StorageTool", &formatting)?;
    while !process.has_ended() {
        if Instant::now() > deadline {
            let text = "the folder of a Kafka was not formatted in time";
            return Err(Error::new(ErrorKind::Timeout, text));
        }
        sleep(ASK_AGAIN).await;
    }
    if folder.join("data/meta.properties").is_file() {
        return Ok(());
    }
    let output = fs::read_to_string(folder.join("java.output")).unwrap_or_default();
    let text = format!("cannot format the folder of a Kafka: {output}");
    Err(Error::new(ErrorKind::Driver, text))
}

fn start_server(folder: &Path) -> Result<Process> {
    let process = start_java(folder, "kafka.Kafka", &["server.properties"])?;
    fs::write(folder.join("pid"), process.id().to_string()).map_err(no_folder)?;
    Ok(process)
}

fn start_java(folder: &Path, class: &str, arguments: &[&str]) -> Result<Process> {
    let class_path = format!("{}/*", jars()?.display());
    let machine = [
        "-Xms128m",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dlog4j2.configurationFile=log4j2.properties",
        "-cp",
        &class_path,
        class,
    ];
    let arguments: Vec<_> = machine
        .iter()
        .chain(arguments)
        .map(|it| (*it).to_owned())
        .collect();
    Process::start_in(folder, &program_of("kafka", "java")?, &arguments, &[])
}

fn jars() -> Result<PathBuf> {
    let jars = cache::folder()?.join(JARS);
    if jars.join("complete").is_file() {
        return Ok(jars);
    }
    let text = format!(
        "there is no Kafka in {}: `scripts/services install kafka` fetches it, and SKIP_SERVICES=\"kafka\" goes without",
        jars.display()
    );
    Err(Error::new(ErrorKind::Configuration, text))
}

fn no_folder(error: std::io::Error) -> Error {
    let text = format!("cannot prepare the folder of a Kafka: {error}");
    Error::new(ErrorKind::Driver, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::needs! {
        kafka {
            async fn a_server_answers_again_after_a_kill_and_after_a_stop,
        }
    }

    async fn a_server_answers_again_after_a_kill_and_after_a_stop() {
        let server = KafkaServer::start().await.unwrap();
        let identity = || fs::read_to_string(server.folder.path().join("data/meta.properties"));
        let before = identity().unwrap();
        assert!(before.contains(&server.cluster), "{before}");
        server.kill();
        assert!(server.describes_itself().await.is_err());
        server.restart().await.unwrap();
        server.stop().await.unwrap();
        assert!(server.describes_itself().await.is_err());
        server.stop().await.unwrap();
        server.restart().await.unwrap();
        assert_eq!(identity().unwrap(), before, "the same files");

        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(!folder.exists());
    }
}

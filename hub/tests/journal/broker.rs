//! A Kafka broker of the test's own: started from the jars, stopped, frozen and started again by the test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the broker's clients speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    Plain,
    /// Two listeners: TLS, and TLS with a password (SASL PLAIN, user `hub`, password `right`).
    Secure,
}

/// A running broker; ends with the test.
pub struct Broker {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
    sasl_port: u16,
}

impl Broker {
    /// Formats a data folder and starts a broker on free ports. It is up some seconds later.
    pub fn start(listener: Listener) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port, controller, sasl_port] = free_ports();
        if listener == Listener::Secure {
            make_certificate(folder.path());
        }
        fs::write(folder.path().join("log4j2.properties"), LOG4J).unwrap();
        let properties = properties(folder.path(), listener, port, controller, sasl_port);
        fs::write(folder.path().join("server.properties"), properties).unwrap();
        let formatted = java(folder.path())
            .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
            .arg(folder.path().join("server.properties"))
            .output()
            .expect("java runs");
        assert!(formatted.status.success(), "could not format the broker's folder: {formatted:?}");
        let child = spawn(folder.path());
        Self { folder, child, port, sasl_port }
    }

    /// Where plain or TLS clients connect.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where clients with a password connect.
    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.sasl_port)
    }

    /// The PEM file of the authority that signed the broker's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Freezes the process: connections stay open, nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Ends the process at once, without any goodbye.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same ports and data.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success(), "could not send {signal} to the broker");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

const LOG4J: &str = "rootLogger.level=WARN\nrootLogger.appenderRef.c.ref=C\nappender.c.type=Console\nappender.c.name=C\n\
    appender.c.target=SYSTEM_ERR\nappender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n\n";

/// Ports that the system holds free at the moment. All are held until all are known, so that they differ.
fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn java(folder: &Path) -> Command {
    let jars = crate::variable("CONFAB_TEST_KAFKA_LIB");
    let mut java = Command::new("java");
    java.args(["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()))
        .args(["-cp", &format!("{jars}/*")])
        .stdin(Stdio::null());
    java
}

fn spawn(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    java(folder)
        .arg("kafka.Kafka")
        .arg(folder.join("server.properties"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("java runs")
}

fn properties(folder: &Path, listener: Listener, port: u16, controller: u16, sasl_port: u16) -> String {
    let folder = folder.display();
    let common = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\nlog.dirs={folder}/data\noffsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n"
    );
    let listeners = match listener {
        Listener::Plain => format!(
            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
        ),
        Listener::Secure => format!(
            "listeners=SSL://127.0.0.1:{port},SASL_SSL://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=SSL://127.0.0.1:{port},SASL_SSL://127.0.0.1:{sasl_port}\n\
             listener.security.protocol.map=SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=SSL\nssl.keystore.type=PKCS12\nssl.keystore.location={folder}/broker.p12\n\
             ssl.keystore.password=changeit\nssl.key.password=changeit\nssl.truststore.type=PEM\n\
             ssl.truststore.location={folder}/ca.pem\nsasl.enabled.mechanisms=PLAIN\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required user_hub=\"right\";\n"
        ),
    };
    common + &listeners
}

/// A self-signed certificate, which is its own authority.
fn make_certificate(folder: &Path) {
    let keytool = |arguments: &[&str]| {
        let done = Command::new("keytool").current_dir(folder).args(arguments).output().expect("keytool runs");
        assert!(done.status.success(), "keytool failed: {done:?}");
    };
    let store = ["-keystore", "broker.p12", "-storetype", "PKCS12", "-storepass", "changeit", "-alias", "broker"];
    let make = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "30", "-dname", "CN=127.0.0.1"];
    let extensions = ["-ext", "SAN=ip:127.0.0.1,dns:localhost", "-ext", "bc=ca:true"];
    keytool(&[&make[..], &extensions[..], &store[..]].concat());
    keytool(&[&["-exportcert", "-rfc", "-file", "ca.pem"][..], &store[..]].concat());
}

//! A relay for mail: it speaks as much of SMTP as is needed, keeps what it takes, and at each step does what a test likes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// What it does when it comes to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Answer with this code and nothing else.
    Refuse(u16),
    /// Answer nothing.
    Hang,
    /// Take it, and end the connection without a word.
    BreakOff,
}

/// A message that was taken, or of which nobody was told that it was.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub text: String,
}

#[derive(Default)]
struct Inside {
    /// The step, and what is done there; by default the mail is taken. Of addresses that end so alone.
    doing: Option<(&'static str, Doing, String)>,
    mails: Vec<Mail>,
    connections: usize,
}

#[derive(Clone)]
pub struct Relay {
    pub port: u16,
    inside: Arc<Mutex<Inside>>,
}

impl Relay {
    pub async fn start() -> Relay {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay {
            port: listener.local_addr().unwrap().port(),
            inside: Arc::default(),
        };
        let accepting = relay.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.inside.lock().unwrap().connections += 1;
                tokio::spawn(accepting.clone().speak(stream));
            }
        });
        relay
    }

    /// At `connect`, `EHLO`, `MAIL`, `RCPT`, `DATA` or `message`, from now on.
    pub fn does(&self, step: &'static str, doing: Doing) {
        self.does_to(step, doing, "");
    }

    /// The same, of mail to addresses that end so alone: at `RCPT`, `DATA` or `message`.
    pub fn does_to(&self, step: &'static str, doing: Doing, to: &str) {
        self.inside.lock().unwrap().doing = Some((step, doing, to.to_owned()));
    }

    pub fn takes(&self) {
        self.inside.lock().unwrap().doing = None;
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.inside.lock().unwrap().mails.clone()
    }

    pub fn connections(&self) -> usize {
        self.inside.lock().unwrap().connections
    }

    fn doing(&self, step: &str, to: &str) -> Option<Doing> {
        let inside = self.inside.lock().unwrap();
        let (at, doing, of) = inside.doing.as_ref()?;
        (*at == step && to.ends_with(of.as_str())).then_some(*doing)
    }

    async fn speak(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut to, mut line) = (String::new(), String::from("connect"));
        loop {
            let step = line.split(' ').next().unwrap_or_default().trim().to_ascii_uppercase();
            let step = if step == "CONNECT" { "connect".to_owned() } else { step };
            if step == "RCPT" {
                to = line
                    .trim()
                    .trim_start_matches("RCPT TO:<")
                    .trim_end_matches('>')
                    .to_owned();
            }
            let answer = match (self.doing(&step, &to), step.as_str()) {
                (Some(Doing::Hang), _) => return std::future::pending().await,
                (Some(Doing::BreakOff), _) => return Ok(()),
                (Some(Doing::Refuse(code)), _) => format!("{code} no\r\n"),
                (None, "connect") => "220 relay.example\r\n".to_owned(),
                (None, "EHLO") => "250-relay.example\r\n250 SIZE 1000000\r\n".to_owned(),
                (None, "MAIL" | "RCPT") => "250 ok\r\n".to_owned(),
                (None, "DATA") => "354 go on\r\n".to_owned(),
                (None, "QUIT") => return Ok(()),
                (None, _) => "500 what\r\n".to_owned(),
            };
            stream.get_mut().write_all(answer.as_bytes()).await?;
            if answer.starts_with("354") {
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut text).await? == 0 {
                        return Ok(());
                    }
                }
                let doing = self.doing("message", &to);
                if !matches!(doing, Some(Doing::Refuse(_) | Doing::Hang)) {
                    let mail = Mail { to: to.clone(), text };
                    self.inside.lock().unwrap().mails.push(mail);
                }
                match doing {
                    None => stream.get_mut().write_all(b"250 taken\r\n").await?,
                    Some(Doing::Refuse(code)) => {
                        stream.get_mut().write_all(format!("{code} no\r\n").as_bytes()).await?
                    }
                    Some(Doing::Hang) => return std::future::pending().await,
                    Some(Doing::BreakOff) => return Ok(()),
                }
            }
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
        }
    }
}

impl Mail {
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let value = head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    }
}

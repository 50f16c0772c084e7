//! Many readers of what moves, in eight scopes of twenty families each: what they connect to, and how one of them reads.

use axum::Router;
use tocsin_model::{PartyId, Scope, Sharing};
use tocsin_store::{KeySubject, Role, Roles as KeyRoles};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::api::*;
use crate::world::*;

/// The coordinators and seven parties.
pub const SCOPES: u8 = 8;
pub const FAMILIES: u8 = 20;
/// Publishes for coordinators, and has no readers.
const ELSEWHERE: u16 = 9;

/// A query role in which every family of every scope moves each second.
pub struct Crowd {
    pub bare: Bare,
    /// One for each scope: the coordinators', then those of the parties 1 to 7.
    pub keys: Vec<String>,
    world: World,
    second: i64,
}

impl Crowd {
    pub async fn start() -> Crowd {
        let bare = Bare::start(empty_replica(), WAIT_MAX).await;
        let mut keys = vec![
            bare.keys.coordinators.clone(),
            bare.keys.party_1.clone(),
            bare.keys.party_2.clone(),
        ];
        for number in 3..u16::from(SCOPES) {
            let name = format!("party-{number}").parse().unwrap();
            let platform = format!("video-{number}").parse().unwrap();
            let party = bare.store.add_party(&name, &[platform]).await.unwrap().id;
            assert_eq!(party.0, number);
            let roles = KeyRoles::of(&[Role::Reader]);
            let (_, key) = bare.store.issue_key(KeySubject::Party(party), roles).await.unwrap();
            keys.push(key.expose().to_owned());
        }
        let mut crowd = Crowd {
            bare,
            keys,
            world: World::default(),
            second: 0,
        };
        for copy in 0..6 {
            crowd.see(copy * 100);
        }
        crowd.tell();
        crowd.bare.state.set_ready();
        crowd
    }

    /// A scope by its place among the keys.
    pub fn scope(place: u8) -> Scope {
        match place {
            0 => Scope::Coordinators,
            party => Scope::Party(PartyId(u16::from(party))),
        }
    }

    /// The number of the newest frame of each scope.
    pub fn newest_frames(&self) -> Vec<u64> {
        let newest = |place| self.bare.state.newest_frame(Crowd::scope(place));
        (0..SCOPES).map(|place| newest(place).unwrap_or(0)).collect()
    }

    /// A content of a scope.
    pub fn content(scope: u8, family: u8) -> u8 {
        scope * FAMILIES + family + 1
    }

    fn see(&mut self, at: i64) {
        for scope in 0..SCOPES {
            let (party, sharing) = match scope {
                0 => (ELSEWHERE, Sharing::Coordinators),
                party => (u16::from(party), Sharing::Party),
            };
            for family in 0..FAMILIES {
                self.world.see(seen(Crowd::content(scope, family), party, sharing, at));
            }
        }
    }

    /// A second goes by: every family moves, and the readers are told.
    pub fn tell(&mut self) {
        self.second += 1;
        self.see(self.second * 1_000);
        let made = self.world.records(self.second * 1_000 + 500);
        self.bare.feed(&made);
        self.bare.state.make_frames();
    }

    pub fn router(&self) -> Router {
        self.bare.router.clone()
    }
}

/// A stream of what moves, read from a socket line by line.
pub struct Socket {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

/// What is taken from one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct FrameRead {
    pub number: u64,
    pub frames: u64,
    data: String,
}

impl FrameRead {
    /// How many families it tells of.
    pub fn families(&self) -> usize {
        self.data.matches("\"family\":").count()
    }
}

impl Socket {
    pub async fn open(address: &str, key: &str) -> std::io::Result<Socket> {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "GET /v1/stream?events=moved HTTP/1.1\r\nHost: query\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(Socket {
            stream: BufReader::new(stream),
            line: Vec::new(),
        })
    }

    /// The next frame; `None` at the end of the stream, or where it ends with a reason.
    pub async fn frame(&mut self) -> Option<FrameRead> {
        loop {
            self.line.clear();
            if self.stream.read_until(b'\n', &mut self.line).await.ok()? == 0 {
                return None;
            }
            if self.line.starts_with(b"event: end") {
                return None;
            }
            let Some(data) = self.line.strip_prefix(b"data: {\"frame\":") else {
                continue;
            };
            let data = std::str::from_utf8(data).ok()?;
            let (number, rest) = data.split_once(",\"frames\":")?;
            let (frames, rest) = rest.split_once(',')?;
            return Some(FrameRead {
                number: number.parse().ok()?,
                frames: frames.parse().ok()?,
                data: rest.to_owned(),
            });
        }
    }
}

//! Dismisses the members that processes leave behind in a group.
//!
//! A member with a name of its own does not leave its group when its process ends: it keeps its partitions until its session ends, six
//! seconds later. Kafka has a request to end it at once (LeaveGroup, version 3: <https://kafka.apache.org/protocol>), and librdkafka has no
//! call for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const TIME_MAX: Duration = Duration::from_secs(10);
const LEAVE_GROUP: i16 = 13;
const VERSION: i16 = 3;

/// Ends the membership of all members of `group`, by the broker at `address`. Where that broker is not the one to ask, or cannot
/// list the group, nothing changes: a member that stays is only slower to go.
///
/// # Errors
/// The broker does not answer.
pub fn dismiss(client: &BaseConsumer, address: &str, group: &str) -> Result<()> {
    // A broker that has just started cannot list groups yet, and has none.
    let Ok(listed) = client.fetch_group_list(Some(group), TIME_MAX) else {
        return Ok(());
    };
    let members = listed.groups().iter().flat_map(|group| group.members());
    let ids: Vec<&str> = members.map(|member| member.id()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut stream = TcpStream::connect(address).context("reach the broker")?;
    stream.set_read_timeout(Some(TIME_MAX))?;
    stream.write_all(&request(group, &ids)).context("ask to end members")?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("read the answer's length")?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).context("read the answer")
}

fn request(group: &str, members: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(LEAVE_GROUP.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    put_text(&mut body, "tocsin-tests");
    put_text(&mut body, group);
    body.extend((members.len() as i32).to_be_bytes());
    for member in members {
        put_text(&mut body, member);
        // Named by its id alone: no instance.
        body.extend((-1_i16).to_be_bytes());
    }
    let mut request = (body.len() as i32).to_be_bytes().to_vec();
    request.extend(body);
    request
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

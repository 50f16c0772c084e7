//! Events that were recorded elsewhere: the formats that `replay` and `evaluate` read.

use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tocsin_model::{AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Name, Sharing, Surface, Timestamp};

/// An event and the time at which it counts as received.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When it was received.
    pub received_at: Timestamp,
    /// The event.
    pub event: Event,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Posts on Facebook and Twitter around an election, as CSV (optionally gzip): `account_id, post_id, url_id, hashtag_id, domain_id,
    /// phash_id, timestamp` in seconds.
    ElectionPosts,
}

/// What of a post is its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum PostContent {
    /// The perceptual hash of its image.
    Phash,
    /// The URL it links to.
    Url,
    /// Its hashtag.
    Hashtag,
}

/// The platforms that election posts come from.
pub const ELECTION_PLATFORMS: [&str; 2] = ["facebook", "twitter"];

/// Reads election posts in time order. A post makes one event for each of the `contents` that it has.
///
/// # Errors
/// The file cannot be read, or a line is not a post.
pub fn election_posts(path: &Path, contents: &[PostContent]) -> Result<Vec<Recorded>> {
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let text: Box<dyn Read> = if compressed {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let mut recorded = Vec::new();
    for (line, post) in csv::Reader::from_reader(text).deserialize::<Post>().enumerate() {
        let post = post.with_context(|| format!("{}: post {}", path.display(), line + 1))?;
        for content in contents {
            recorded.extend(
                post.event(line, *content)
                    .with_context(|| format!("{}: post {}", path.display(), line + 1))?,
            );
        }
    }
    recorded.sort_by_key(|recorded| recorded.received_at);
    Ok(recorded)
}

/// One line.
#[derive(Debug, Deserialize)]
struct Post {
    account_id: String,
    url_id: Option<u64>,
    hashtag_id: Option<u64>,
    phash_id: Option<u64>,
    timestamp: i64,
}

impl Post {
    fn event(&self, line: usize, content: PostContent) -> Result<Option<Recorded>> {
        let (id, name) = match content {
            PostContent::Phash => (self.phash_id, "phash"),
            PostContent::Url => (self.url_id, "url"),
            PostContent::Hashtag => (self.hashtag_id, "hashtag"),
        };
        let Some(id) = id else { return Ok(None) };
        let platform = match self.account_id.split_once('_') {
            Some(("fb", _)) => ELECTION_PLATFORMS[0],
            Some(("tw", _)) => ELECTION_PLATFORMS[1],
            _ => bail!("the account {:?} is of neither platform", self.account_id),
        };
        let hash = match content {
            // The set names images by number; the number's digest stands for the perceptual hash.
            PostContent::Phash => {
                ContentHash::from_bytes(Algorithm::Pdq, digest(&format!("phash {id}")).to_vec(), Some(100))
            }
            PostContent::Url | PostContent::Hashtag => ContentHash::parse(
                Algorithm::Url,
                &format!("https://election-posts.invalid/{name}/{id}"),
                None,
            ),
        };
        let received_at = Timestamp(self.timestamp.saturating_mul(1_000));
        let event = Event {
            event_id: EventId(half(digest(&format!("post {line} {name}")))),
            platform: platform.parse::<Name>()?,
            kind: Kind::Share,
            occurred_at: received_at,
            content: vec![hash?],
            same_as: Vec::new(),
            frames: Vec::new(),
            account: Some(AccountPseudonym(half(digest(&self.account_id)))),
            account_epoch: 0,
            region: None,
            language: None,
            audience: None,
            surface: Surface::Feed,
            labels: Vec::new(),
            sharing: Sharing::All,
        };
        Ok(Some(Recorded { received_at, event }))
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn half(digest: [u8; 32]) -> [u8; 16] {
    digest[..16].try_into().expect("half of 32 bytes is 16 bytes")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use super::*;

    pub(crate) const POSTS: &str = "account_id,post_id,url_id,hashtag_id,domain_id,phash_id,timestamp\n\
                         tw_2,2,7,8,,,1629064899\nfb_1,1,7,,,5,1629064892\n";

    /// A share of one URL, received when it happened.
    pub(crate) fn share(number: usize, at: Timestamp) -> Recorded {
        let post = Post {
            account_id: "fb_1".to_owned(),
            url_id: Some(7),
            hashtag_id: None,
            phash_id: None,
            timestamp: at.0 / 1_000,
        };
        let recorded = post.event(number, PostContent::Url);
        recorded.expect("the post is right").expect("it has a URL")
    }

    fn read(text: &str, contents: &[PostContent]) -> Result<Vec<Recorded>> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        election_posts(file.path(), contents)
    }

    #[test]
    fn posts_become_shares_in_time_order() {
        let recorded = read(POSTS, &[PostContent::Url, PostContent::Phash]).expect("the posts are right");
        let platforms: Vec<&str> = recorded
            .iter()
            .map(|recorded| recorded.event.platform.as_str())
            .collect();
        assert_eq!(platforms, ["facebook", "facebook", "twitter"]);
        assert_eq!(
            recorded[0].event.content, recorded[2].event.content,
            "the same URL is the same content"
        );
        assert_eq!(recorded[1].event.content[0].algorithm(), Algorithm::Pdq);
        assert_eq!(recorded[0].received_at, Timestamp(1_629_064_892_000));
        let ids: std::collections::BTreeSet<_> = recorded.iter().map(|recorded| recorded.event.event_id).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn a_line_that_is_no_post_is_named() {
        let error = read(&format!("{POSTS}xx_1,3,7,,,,1629064899\n"), &[PostContent::Url]).expect_err("no platform");
        assert!(format!("{error:#}").contains("post 3"), "{error:#}");
        assert!(read(&format!("{POSTS}fb_1,3,seven,,,,1629064899\n"), &[PostContent::Url]).is_err());
    }
}

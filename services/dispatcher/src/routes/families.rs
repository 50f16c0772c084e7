use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_log::{Append, Appender, TopicPartition};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, DeploymentKey, Evidence, FamilyId, Link, PartitionCount, Timestamp,
};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::document::HashText;
use tocsin_wire::{SightingsRecord, topics};
use utoipa::ToSchema;

use super::refused::{NotModerated, Refused};
use super::{answered, body};
use crate::{Dispatcher, problems};

const APPEND_TIMEOUT: Duration = Duration::from_secs(8);

/// Which contents are one family, or are not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The content, by its strongest hash.
    pub content: HashText,
    /// A content that is the same, by its strongest hash. Absent: the content is taken out of its family, and stays alone.
    #[serde(rename = "with")]
    pub with: Option<HashText>,
    /// What is taken out of the family, where `with` is absent: `content` (the default) or `family`.
    pub out: Option<TakenOut>,
}

/// What is taken out of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenOut {
    /// The content alone.
    Content,
    /// The family that the content founded before it joined: all contents that came by it go with it.
    Family,
}

/// The link that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkAnswer {
    /// The content that was linked, 32 hexadecimal digits: of two contents that of the higher id.
    pub content: String,
    /// The family it belongs to from now on; its own id where it is alone.
    pub family: String,
}

/// Says that two contents are variants of one another, or that one is none of its family
///
/// For everyone, and before what is found by hashes, now and later; for coordinators. It holds within a second or two. The content that
/// gave a family its id is its founder: it cannot be taken out of it, the others can. What was taken out is put back by saying that it is
/// the same as a member.
///
/// The content of the higher id joins, alone unless it founded its family. If it is in a family of lower id than the other content already, it
/// stays there, and the answer does not tell: to make two families one, name their founders.
///
/// Two families that became one are parted again by taking out the founder of the one that joined with `out: family`: its members of then go back
/// to it, as far as their latest eight merges and a day without an event, and answer under its id again.
#[utoipa::path(
    post,
    path = "/v1/links",
    tag = "casework",
    operation_id = "link_contents",
    request_body = LinkRequest,
    responses(
        (status = 200, description = "The link is on disk in the log", body = LinkAnswer),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn link_contents(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let link = async {
        let access = dispatcher.moderator(request.headers()).await?;
        if access.team != Team::Coordinators {
            return Err(problems::COORDINATORS_ONLY.into());
        }
        let request: LinkRequest = body::read(request).await?;
        let content = hash("content", &request.content)?;
        let with = request.with.as_ref().map(|with| hash("with", with)).transpose()?;
        let link = match (with, request.out) {
            (None, out) => dispatcher.links.taken_out(content, out.unwrap_or(TakenOut::Content)),
            (Some(_), Some(_)) => {
                return Err(Problem::new(problem::INVALID_BODY).with_detail("out: where with is absent"));
            }
            (Some(with), None) => dispatcher.links.joined(content, with)?,
        };
        dispatcher.links.append(&link).await?;
        tracing::info!(
            key = %access.principal.key_id,
            content = %link.content,
            family = %link.family,
            "a coordinator linked a content"
        );
        Ok(LinkAnswer {
            content: link.content.to_string(),
            family: link.family.to_string(),
        })
    };
    answered(&dispatcher, "link_contents", link.await)
}

pub(super) fn hash(field: &str, text: &HashText) -> Result<ContentHash, Problem> {
    let refused = |reason: String| Problem::new(problem::INVALID_BODY).with_detail(format!("{field}: {reason}"));
    let algorithm = Algorithm::from_name(&text.algorithm).ok_or_else(|| refused("unknown algorithm".to_owned()))?;
    ContentHash::parse(algorithm, &text.value, None).map_err(|error| refused(error.to_string()))
}

/// Puts people's links into the input of the key groups.
pub(crate) struct Links {
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) key: DeploymentKey,
    pub(crate) partitions: PartitionCount,
}

impl Links {
    /// The id of a content.
    pub(crate) fn content_id(&self, hash: &ContentHash) -> ContentId {
        self.key.content_id(hash)
    }

    fn joined(&self, content: ContentHash, with: ContentHash) -> Result<Link, Problem> {
        let id = |hash: &ContentHash| self.key.content_id(hash);
        // As everywhere, the higher id joins the lower.
        let (hash, family) = match id(&with).cmp(&id(&content)) {
            Ordering::Equal => {
                return Err(Problem::new(problem::INVALID_BODY).with_detail("with: the content itself"));
            }
            Ordering::Greater => (with, id(&content)),
            Ordering::Less => (content, id(&with)),
        };
        Ok(self.link(hash, family, Evidence::Moderator))
    }

    fn taken_out(&self, content: ContentHash, out: TakenOut) -> Link {
        let alone = self.key.content_id(&content);
        let evidence = match out {
            TakenOut::Content => Evidence::Moderator,
            TakenOut::Family => Evidence::FamilyParted,
        };
        self.link(content, alone, evidence)
    }

    fn link(&self, hash: ContentHash, family: ContentId, evidence: Evidence) -> Link {
        Link {
            content: self.key.content_id(&hash),
            hash,
            family: FamilyId(family),
            evidence,
            party: None,
            class: Class::All,
            // The group's own time is later than this: it takes the link when it comes.
            at: Timestamp(0),
        }
    }

    async fn append(&self, link: &Link) -> Result<(), Problem> {
        let content: ContentId = link.content;
        let record = Append {
            to: TopicPartition::new(topics::SIGHTINGS, self.partitions.partition_of(content.group())),
            key: None,
            value: Some(Bytes::from(SightingsRecord::Link(link.clone()).encode())),
            headers: Vec::new(),
        };
        let unavailable = || Problem::new(problem::UNAVAILABLE).with_retry_after_s(1);
        match tokio::time::timeout(APPEND_TIMEOUT, self.appender.append(vec![record])).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the log did not take a link");
                Err(unavailable())
            }
            Err(_) => Err(unavailable()),
        }
    }
}

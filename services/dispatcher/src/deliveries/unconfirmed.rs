//! What an endpoint is told of a decision that platforms did not confirm.

use serde::Serialize;
use tocsin_store::Unconfirmed;
use tocsin_wire::Names;
use tocsin_wire::document::{HashText, instant};

use super::event::{DecisionDocument, platform_name};

/// A decision of which it is not confirmed that it was carried out.
#[derive(Debug, Serialize)]
pub(super) struct UnconfirmedDocument {
    /// The decision.
    decision: DecisionDocument,
    /// The case, 32 hexadecimal digits.
    case: String,
    /// `removal` or `restore`: what is waited for.
    awaits: &'static str,
    /// The number of the reminder, from 1; null of the escalation, after which nobody is reminded again.
    reminder: Option<u8>,
    /// Whether it is escalated.
    escalated: bool,
    /// How many members, each on a platform, are not confirmed.
    unconfirmed: u64,
    /// Of how many.
    of: u64,
    /// The first 100 of those that are not.
    members: Vec<UnconfirmedMemberDocument>,
    /// When, RFC 3339.
    at: Option<String>,
}

/// A member that a platform did not confirm.
#[derive(Debug, Serialize)]
struct UnconfirmedMemberDocument {
    /// 32 hexadecimal digits.
    content: String,
    /// Its strongest hash that is known.
    hash: HashText,
    /// The platform.
    platform: String,
    /// How many copies, or removals, are to be answered.
    asked: u64,
    /// How many removals, or restored copies, were heard.
    answered: u64,
}

impl UnconfirmedDocument {
    pub(super) fn of(event: &Unconfirmed, names: &Names) -> UnconfirmedDocument {
        let members = event.members.iter().map(|of| UnconfirmedMemberDocument {
            content: of.content.to_string(),
            hash: HashText::from(&of.hash),
            platform: platform_name(names, of.platform),
            asked: of.asked,
            answered: of.answered,
        });
        UnconfirmedDocument {
            decision: DecisionDocument::of(&event.told),
            case: event.case.to_string(),
            awaits: event.awaits.name(),
            reminder: event.reminder,
            escalated: event.reminder.is_none(),
            unconfirmed: event.unconfirmed,
            of: event.of,
            members: members.collect(),
            at: instant(event.at),
        }
    }
}

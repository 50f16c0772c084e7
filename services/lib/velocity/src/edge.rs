//! The link between a content and its family: why it holds, and what may take its place.

use tocsin_model::{ContentId, Evidence, FamilyId, Joined, Link, PartyId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// A content's link to its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) family: FamilyId,
    /// Since when it holds.
    pub(crate) since: Timestamp,
    /// How the content came to it; `None` of links that a program made which did not keep it.
    pub(crate) joined: Option<Joined>,
    /// The families it was in when their founders joined others, first to last: the way it came, back to the last [`VIA_MAX`].
    pub(crate) via: Vec<FamilyId>,
}

/// So many merges back a content knows by which it came, and can be taken back by.
const VIA_MAX: usize = 8;

impl Edge {
    /// The edge that a wanted link makes of the one before.
    pub(crate) fn new(link: &Link, before: Option<&Edge>, now: Timestamp) -> Edge {
        let found = Joined {
            evidence: link.evidence,
            party: link.party,
            at: now,
        };
        let (joined, via) = match (link.evidence, before) {
            (Evidence::FounderLinked, Some(before)) => {
                let known = before.via.len().saturating_sub(VIA_MAX - 1);
                let via = before.via[known..].iter().copied().chain([before.family]);
                (before.joined.or(Some(found)), via.collect())
            }
            (Evidence::FamilyParted, Some(before)) if link.family.0 != link.content => {
                let via = before.via.iter().copied().take_while(|family| *family != link.family);
                (before.joined, via.collect())
            }
            _ => (Some(found), Vec::new()),
        };
        Edge {
            family: link.family,
            since: now,
            joined,
            via,
        }
    }

    pub(crate) fn is_by_person(&self) -> bool {
        let by_person = [Evidence::Moderator, Evidence::FamilyParted];
        self.joined.is_some_and(|joined| by_person.contains(&joined.evidence))
    }
}

/// Whether a link says something that is to hold, of a content that has this edge, or none and founds its own family.
pub(crate) fn is_wanted(link: &Link, before: Option<&Edge>) -> bool {
    let alone = FamilyId(link.content);
    let from = before.map_or(alone, |edge| edge.family);
    let is_kept = before.is_some_and(Edge::is_by_person);
    match link.evidence {
        // A person takes a content out of a family, or says that it is alone and is to stay so.
        Evidence::Moderator | Evidence::FamilyParted if link.family == alone => !is_kept || from != alone,
        // It goes back to where it came by.
        Evidence::FamilyParted => before.is_some_and(|edge| edge.via.contains(&link.family)),
        Evidence::Moderator => link.family < from,
        // Where a person put it, it stays, and goes along with the family it was put into.
        Evidence::FounderLinked => link.family < from && !(is_kept && from == alone),
        _ if is_kept => false,
        // By its looks a content comes into one family: a picture between two does not make them one.
        Evidence::PdqDistance(_) | Evidence::FrameShare(_) => link.family < from && before.is_none(),
        Evidence::PartyLink | Evidence::EqualHash => link.family < from,
    }
}

/// How a content came into its family, as bytes.
pub(crate) fn encode_joined(joined: Option<&Joined>, out: &mut Encoder) {
    let Some(joined) = joined else {
        out.byte(0);
        return;
    };
    let (number, measure) = joined.evidence.code();
    out.byte(number);
    if let Some(measure) = measure {
        out.number(u64::from(measure));
    }
    // Party 0 is nobody's number plus one.
    out.number(joined.party.map_or(0, |party| u64::from(party.0) + 1));
    out.signed(joined.at.0);
}

/// The way a content came, as bytes.
pub(crate) fn encode_via(via: &[FamilyId], out: &mut Encoder) {
    out.number(via.len() as u64);
    via.iter().for_each(|family| out.fixed128(family.0.0));
}

pub(crate) fn decode_via(input: &mut Decoder<'_>) -> Result<Vec<FamilyId>, DecodeError> {
    let length = input.length(16)?;
    if length > VIA_MAX {
        return Err(DecodeError::Invalid("way of a content"));
    }
    (0..length)
        .map(|_| Ok(FamilyId(ContentId(input.fixed128()?))))
        .collect()
}

pub(crate) fn decode_joined(input: &mut Decoder<'_>) -> Result<Option<Joined>, DecodeError> {
    let number = input.byte()?;
    if number == 0 {
        return Ok(None);
    }
    let has_measure = Evidence::has_measure(number);
    let measure = has_measure.then(|| input.narrow("measure of evidence")).transpose()?;
    let evidence = Evidence::from_code(number, measure).ok_or(DecodeError::Invalid("evidence"))?;
    let party: u32 = input.narrow("party")?;
    let party = party.checked_sub(1).map(u16::try_from).transpose();
    Ok(Some(Joined {
        evidence,
        party: party.map_err(|_| DecodeError::Invalid("party"))?.map(PartyId),
        at: Timestamp(input.signed()?),
    }))
}

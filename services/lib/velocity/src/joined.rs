//! How a content came into its family, as bytes.

use tocsin_model::{Evidence, Joined, PartyId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

pub(crate) fn encode(joined: Option<&Joined>, out: &mut Encoder) {
    let Some(joined) = joined else {
        out.byte(0);
        return;
    };
    match joined.evidence {
        Evidence::PartyLink => out.byte(1),
        Evidence::EqualHash => out.byte(2),
        Evidence::PdqDistance(distance) => {
            out.byte(3);
            out.number(u64::from(distance));
        }
        Evidence::FounderLinked => out.byte(4),
        Evidence::Moderator => out.byte(5),
    }
    // Party 0 is nobody's number plus one.
    out.number(joined.party.map_or(0, |party| u64::from(party.0) + 1));
    out.signed(joined.at.0);
}

pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Option<Joined>, DecodeError> {
    let evidence = match input.byte()? {
        0 => return Ok(None),
        1 => Evidence::PartyLink,
        2 => Evidence::EqualHash,
        3 => Evidence::PdqDistance(input.narrow("distance")?),
        4 => Evidence::FounderLinked,
        5 => Evidence::Moderator,
        _ => return Err(DecodeError::Invalid("evidence")),
    };
    let party: u32 = input.narrow("party")?;
    let party = party.checked_sub(1).map(u16::try_from).transpose();
    Ok(Some(Joined {
        evidence,
        party: party.map_err(|_| DecodeError::Invalid("party"))?.map(PartyId),
        at: Timestamp(input.signed()?),
    }))
}

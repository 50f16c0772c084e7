//! When a content is listed, and how gravely: pure.

use tocsin_model::{Aggregate, ContentHash, Name, Opinion, Sampled, Severity};

/// What one bank that is in use says of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// Which part of it is listed.
    pub sampled: Sampled,
    /// How grave the entry is, if there is one.
    pub entry: Option<Severity>,
    /// The opinions that stand in it.
    pub opinions: &'a [(Name, Opinion)],
}

/// What banks and parties come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How grave the content is; `None`: it is not listed.
    pub listed: Option<Severity>,
    /// What parties hold of it.
    pub aggregate: Option<Aggregate>,
}

/// A content is listed while a bank lists it, as gravely as the gravest of them says, unless parties hold otherwise
/// ([`Aggregate::severity`]). An entry without opinions of its own is its source's word that it is positive.
pub(crate) fn standing(hash: &ContentHash, said: &[Said<'_>]) -> Standing {
    let entry_of = |said: &Said<'_>| said.entry.filter(|_| said.sampled.takes(hash));
    let gravest = said.iter().filter_map(entry_of).max();
    let implied = said
        .iter()
        .filter(|said| said.opinions.is_empty() && entry_of(said).is_some())
        .map(|_| Opinion::Positive);
    let given = said
        .iter()
        .flat_map(|said| said.opinions.iter().map(|(_, opinion)| *opinion));
    let aggregate = Aggregate::of(implied.chain(given));
    Standing {
        listed: gravest.and_then(|gravest| aggregate?.severity(gravest)),
        aggregate,
    }
}

#[cfg(test)]
mod tests {
    use tocsin_model::Algorithm;

    use super::*;

    #[test]
    fn a_content_is_listed_as_banks_and_opinions_say() {
        use Opinion::{InvestigationSeed as Seed, Negative, Positive};
        let hash = ContentHash::from_bytes(Algorithm::Md5, vec![7; 16], None).unwrap();
        let grave = |number| Severity::new(number);
        let name = |name: &str| -> Name { name.parse().unwrap() };
        let (south, nobody) = (name("south"), Sampled::from_fraction(0.0).unwrap());
        let says = |opinion| vec![(south.clone(), opinion)];
        let of = |sampled, entry, opinions| Said {
            sampled,
            entry,
            opinions,
        };
        let (negative, seed, positive) = (says(Negative), says(Seed), says(Positive));
        let all = Sampled::ALL;
        let cases: [(&str, Vec<Said<'_>>, Option<Severity>); 10] = [
            ("nobody says anything", vec![], None),
            (
                "the gravest counts",
                vec![of(all, grave(2), &[]), of(all, grave(3), &[])],
                grave(3),
            ),
            (
                "what is not sampled is not listed",
                vec![of(nobody, grave(2), &[])],
                None,
            ),
            (
                "nor does it outweigh what is",
                vec![of(nobody, grave(4), &[]), of(all, grave(2), &[])],
                grave(2),
            ),
            ("an opinion lists nothing", vec![of(all, None, &positive)], None),
            (
                "who disputes another's listing takes its weight, not the listing",
                vec![of(all, grave(4), &[]), of(all, None, &negative)],
                grave(1),
            ),
            (
                "who agrees changes nothing",
                vec![of(all, grave(4), &[]), of(all, None, &seed)],
                grave(4),
            ),
            (
                "all who say anything call it harmless",
                vec![of(all, grave(4), &negative)],
                None,
            ),
            ("a seed rings lightly", vec![of(all, grave(4), &seed)], grave(1)),
            (
                "an opinion of the bank's own",
                vec![of(all, grave(4), &positive)],
                grave(4),
            ),
        ];
        for (what, said, listed) in cases {
            assert_eq!(standing(&hash, &said).listed, listed, "{what}");
        }
    }
}

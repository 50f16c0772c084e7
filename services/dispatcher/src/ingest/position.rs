/// Where a reading of an ingest topic goes on in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The offset of the record.
    pub offset: u64,
    /// The place of the event within it, where it is a batch.
    pub index: u32,
}

/// Where a reading goes on, in each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions(pub Vec<Position>);

impl Positions {
    /// As the API hands it out: offset and place of each partition, in their order.
    pub(crate) fn to_text(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|at| match at.index {
                0 => at.offset.to_string(),
                index => format!("{}.{index}", at.offset),
            })
            .collect();
        parts.join("-")
    }

    /// What [`Positions::to_text`] made, and nothing else: at most so many partitions.
    pub(crate) fn parse(text: &str, partitions_max: usize) -> Option<Positions> {
        if text.is_empty() || text.split('-').count() > partitions_max {
            return None;
        }
        let positions = text.split('-').map(|part| {
            let (offset, index) = part.split_once('.').unwrap_or((part, "0"));
            Some(Position {
                offset: digits(offset)?,
                index: u32::try_from(digits(index)?).ok()?,
            })
        });
        positions.collect::<Option<Vec<_>>>().map(Positions)
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_were_told_and_nothing_else_is_one() {
        let of = |parts: &[(u64, u32)]| {
            Positions(
                parts
                    .iter()
                    .map(|(offset, index)| Position {
                        offset: *offset,
                        index: *index,
                    })
                    .collect(),
            )
        };
        for (positions, text) in [
            (of(&[(0, 0)]), "0"),
            (
                of(&[(17, 0), (u64::MAX, 3), (0, 9_999)]),
                "17-18446744073709551615.3-0.9999",
            ),
        ] {
            assert_eq!(positions.to_text(), text);
            assert_eq!(Positions::parse(text, 3), Some(positions));
        }
        for wrong in [
            "",
            "-",
            "1-",
            "a",
            "+1",
            "1.",
            ".1",
            "1.-1",
            "18446744073709551616",
            "1.4294967296",
            "1-2-3-4",
            " 1",
        ] {
            assert_eq!(Positions::parse(wrong, 3), None, "{wrong}");
        }
    }
}

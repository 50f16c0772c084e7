//! How far a list was read, and what follows from a page: pure.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use tocsin_exchange::Page;

use super::config::FollowKind;
use super::problem::Problem;

/// Where to go on: the checkpoint that stands in the store, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Position {
    /// Where the round that is going on began, in the source's own words; empty: at the beginning.
    pub since: String,
    /// Where its next page is, without anything secret; `None`: its first.
    pub next: Option<String>,
    /// The newest thing that the round told of.
    pub newest: Option<String>,
    /// How many pages the round has had.
    pub pages: u32,
}

/// What is to be done behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Ask for the next page.
    GoOn,
    /// The list is read.
    Rest,
    /// The page counts; what it says about the next one does not.
    Stop(Problem),
}

/// A round has at most so many pages: at 500 entries, a list of ten million.
pub(super) const PAGES_MAX: u32 = 20_000;

/// What was read, and the server's own clock.
pub(super) struct Read<'a> {
    pub page: &'a Page,
    /// Seconds since 1970. No list is followed from a time that its server has not reached, or what it tells of until then would be passed over.
    pub server_time: i64,
    pub base: &'a Url,
}

impl Position {
    pub(super) fn parse(text: Option<&str>) -> Position {
        // What another version wrote, or nobody: the list is read from its beginning, which changes nothing that stands.
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same list from the beginning of the round: a place within it may not be known any more.
    pub(super) fn round_anew(&self) -> Position {
        Position::beginning(self.since.clone())
    }

    /// Where to go on behind a page, and whether to do so now.
    pub(super) fn behind(&self, kind: FollowKind, read: &Read<'_>) -> (Position, Then) {
        let newest = match kind {
            // A time and an id; each page ends with where the next begins.
            FollowKind::TechAgainstTerrorism => read.page.checkpoint.clone(),
            FollowKind::ThreatExchange | FollowKind::StopNcii => {
                let told = read.page.checkpoint.as_deref().and_then(|at| at.parse::<i64>().ok());
                let before = self.newest.as_deref().and_then(|at| at.parse::<i64>().ok());
                let newest = told.map(|told| told.min(read.server_time)).max(before);
                newest.map(|at| at.to_string())
            }
        };
        let rested = || Position::beginning(newest.clone().unwrap_or_else(|| self.since.clone()));
        let Some(next) = &read.page.next else {
            return (rested(), Then::Rest);
        };
        let next = match kind {
            FollowKind::StopNcii => Ok(next.clone()),
            FollowKind::ThreatExchange => without_secret(next, read.base),
            FollowKind::TechAgainstTerrorism => read.page.checkpoint.clone().ok_or(Problem::PageMalformed),
        };
        let next = match next {
            Ok(next) => next,
            Err(problem) => return (self.round_anew(), Then::Stop(problem)),
        };
        if self.next.as_ref() == Some(&next) || (self.next.is_none() && self.since == next) {
            return (self.round_anew(), Then::Stop(Problem::PagingStuck));
        }
        if self.pages + 1 >= PAGES_MAX {
            return (rested(), Then::Stop(Problem::PagingEndless));
        }
        let position = Position {
            since: self.since.clone(),
            next: Some(next),
            newest,
            pages: self.pages + 1,
        };
        (position, Then::GoOn)
    }

    fn beginning(since: String) -> Position {
        Position {
            since,
            ..Position::default()
        }
    }
}

/// The address of a next page on the same server, without the token that it may hold.
fn without_secret(next: &str, base: &Url) -> Result<String, Problem> {
    let mut url = Url::parse(next).map_err(|_| Problem::PageMalformed)?;
    if url.origin() != base.origin() {
        return Err(Problem::NextElsewhere);
    }
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "access_token")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(position: &Position, kind: FollowKind, next: Option<&str>, checkpoint: Option<&str>) -> (Position, Then) {
        let page = Page {
            next: next.map(str::to_owned),
            checkpoint: checkpoint.map(str::to_owned),
            ..Page::default()
        };
        let base = Url::parse("https://lists.example/v1/7").unwrap();
        let read = Read {
            page: &page,
            server_time: 1_000,
            base: &base,
        };
        position.behind(kind, &read)
    }

    #[test]
    fn a_round_goes_from_page_to_page_and_the_next_from_the_newest() {
        let next = "https://lists.example/v1/7/threat_updates?access_token=secret&after=b";
        let (second, then) = behind(
            &Position::default(),
            FollowKind::ThreatExchange,
            Some(next),
            Some("900"),
        );
        assert_eq!(then, Then::GoOn);
        assert!(!second.text().contains("secret"), "{second:?}");
        assert_eq!(Position::parse(Some(&second.text())), second);
        let (rested, then) = behind(&second, FollowKind::ThreatExchange, None, Some("300"));
        assert_eq!((rested.since.as_str(), rested.next, then), ("900", None, Then::Rest));
        let (rested, _) = behind(&second, FollowKind::StopNcii, None, Some("5000"));
        assert_eq!(rested.since, "1000", "the server's own clock says that this is to come");
        let (rested, _) = behind(&rested, FollowKind::ThreatExchange, None, None);
        assert_eq!(rested.since, "1000", "an empty page");
        assert_eq!(Position::parse(Some("no position")), Position::default());
    }

    #[test]
    fn a_server_that_lies_about_paging_is_not_followed() {
        use FollowKind::{StopNcii, TechAgainstTerrorism, ThreatExchange};
        let begun = Position {
            since: "5".to_owned(),
            next: Some("t".to_owned()),
            newest: Some("9".to_owned()),
            pages: 3,
        };
        let anew = Position::beginning("5".to_owned());
        let cases = [
            (StopNcii, "t", None, anew.clone(), Problem::PagingStuck),
            (
                ThreatExchange,
                "https://other.example/x",
                None,
                anew.clone(),
                Problem::NextElsewhere,
            ),
            (
                ThreatExchange,
                "http://lists.example/x",
                None,
                anew.clone(),
                Problem::NextElsewhere,
            ),
            (ThreatExchange, "nowhere", None, anew.clone(), Problem::PageMalformed),
            (
                TechAgainstTerrorism,
                "limit=2",
                None,
                anew.clone(),
                Problem::PageMalformed,
            ),
            (TechAgainstTerrorism, "limit=2", Some("t"), anew, Problem::PagingStuck),
        ];
        for (kind, next, checkpoint, position, problem) in cases {
            assert_eq!(
                behind(&begun, kind, Some(next), checkpoint),
                (position, Then::Stop(problem)),
                "{kind:?} {next}"
            );
        }
        let long = Position {
            pages: PAGES_MAX - 1,
            ..begun
        };
        let (position, then) = behind(&long, StopNcii, Some("u"), Some("10"));
        assert_eq!(
            (position, then),
            (Position::beginning("10".to_owned()), Then::Stop(Problem::PagingEndless))
        );
    }
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::answers::{Case, Queue, Series, Trending};
use super::player::Player;
use super::reader::Reader;
use super::screen::{Display, Panel};
use super::words;
use crate::explain::answer::Alert;

/// What is known of the play so far, and what was said of it.
pub struct Scene {
    pub player: Arc<Player>,
    pub trending: Trending,
    /// All cases of the coordinators, whatever their state, highest priority first.
    pub cases: Vec<Case>,
    /// The course of the crisis' family since its alarm.
    pub series: Series,
    /// The first alarm of the crisis.
    pub alarm: Option<Alarm>,
    /// Every alert of the crisis since then, newest last.
    pub later: Vec<Alert>,
    /// How long after the demo began the first figures were there.
    pub first_figures: Option<Duration>,
    began: Instant,
    status_at: Duration,
    panel: Panel,
}

/// The alarm, when it came, and what had been published by then.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub alert: Alert,
    pub at: Instant,
    /// Since the first copy was published.
    pub after: Duration,
    pub copies: u64,
}

/// Without a screen, figures are said this often.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// The states of cases that are asked for.
const STATES: [&str; 4] = ["open", "claimed", "decided", "closed"];

impl Scene {
    pub fn new(player: Arc<Player>, began: Instant, display: Display) -> Scene {
        Scene {
            status_at: player.scaled(STATUS_EVERY),
            player,
            trending: Trending::default(),
            cases: Vec::new(),
            series: Series::default(),
            alarm: None,
            later: Vec::new(),
            first_figures: None,
            began,
            panel: Panel::new(display),
        }
    }

    /// Tells the spectator, for good.
    pub fn say(&mut self, text: String) {
        self.panel.say(&text);
    }

    /// Draws the figures as they are, where there is a screen.
    pub fn draw(&mut self) {
        if self.panel.is_drawn() {
            let lines = words::panel(self);
            self.panel.draw(&lines);
        }
    }

    /// Leaves the screen to what comes.
    pub fn close(&mut self) {
        self.panel.close();
    }

    /// An alert came.
    pub fn ring(&mut self, alert: Alert) {
        if !self.player.is_crisis(&alert.hash) {
            if alert.level == "raised" {
                self.say(words::other_alarm(&alert));
            }
            return;
        }
        if self.alarm.is_some() {
            self.say(words::later_alert(&alert));
            self.later.push(alert);
            return;
        }
        let (began, copies) = {
            let tally = self.player.tally();
            (tally.crisis_began, tally.crisis_copies)
        };
        let alarm = Alarm {
            alert,
            at: Instant::now(),
            after: began.map_or(Duration::ZERO, |began| began.elapsed()),
            copies,
        };
        self.say(words::alarm(&alarm));
        self.alarm = Some(alarm);
    }

    /// Asks for the figures.
    pub async fn look(&mut self, reader: &Reader) -> Result<()> {
        if let Some(trending) = reader.get::<Trending>("/v1/trending?window=5m&limit=5").await? {
            self.trending = trending;
        }
        let mut cases = Vec::new();
        for state in STATES {
            let page: Option<Queue> = reader.get(&format!("/v1/queue?state={state}&limit=200")).await?;
            cases.extend(page.unwrap_or_default().cases);
        }
        cases.sort_by(|a, b| b.priority.total_cmp(&a.priority));
        self.cases = cases;
        if let Some(alarm) = &self.alarm {
            let path = format!("/v1/families/{}/series?resolution=5s", alarm.alert.family);
            self.series = reader.get(&path).await?.unwrap_or_default();
        }
        if self.first_figures.is_none() && self.trending.as_of.is_some() && self.player.tally().taken > 0 {
            let after = self.began.elapsed();
            self.first_figures = Some(after);
            self.say(words::first_figures(after));
        }
        if !self.panel.is_drawn() && self.first_figures.is_some() && self.player.elapsed() >= self.status_at {
            self.status_at += self.player.scaled(STATUS_EVERY);
            self.say(words::status(self));
        }
        Ok(())
    }

    /// The case of the crisis.
    pub fn crisis_case(&self) -> Option<&Case> {
        self.cases.iter().find(|case| self.player.is_crisis(&case.hash))
    }
}

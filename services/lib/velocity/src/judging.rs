//! When a group asks the rule, and what it then says.

use tocsin_model::{Alert, AlertLevel, Class, ContentId, FamilyId, Milliseconds, PlatformNull, Timestamp};

use crate::alert::{Subject, compose};
use crate::class::{Question, Quiet};
use crate::deadline::Duty;
use crate::episode::{REVIEW_EVERY, Rings};
use crate::evidence::course;
use crate::family::FamilyState;
use crate::gathered::Gathered;
use crate::group::Group;
use crate::input::{HotKey, Output};
use crate::learning::FORECAST_AHEAD;
use crate::live::{is_running, latest_began_at};
use crate::paging::PagePolicy;
use crate::record::{HotRecord, Resolution};
use crate::trigger::{self, Past, TriggerParameters, total};
use crate::watching::{at_least_seen, watched};

/// Figures go to another group, and families of several records are judged, at the next multiple of this.
const SETTLE_EVERY: Milliseconds = Milliseconds(250);

/// What is known of a quiet content holds until the next multiple of this: then the day behind it moves on.
const QUIET_AT_MOST: Milliseconds = Milliseconds::from_minutes(15);

impl Group {
    /// A sighting of this class was counted: judges the scopes that see it.
    pub(crate) fn touched(&mut self, content: ContentId, class: Class, out: &mut Vec<Output>) {
        if class != Class::All {
            return self.touched_in_scope(content, class, out);
        }
        self.touched_for_all(content, out);
        if self.knows_scopes_beyond_all() {
            for own in self.scopes_beyond_all(content) {
                self.touched_in_scope(content, own, out);
            }
        }
    }

    /// [`Group::touched_in_scope`] for scope `all`. Nearly every sighting ends here: there is no record to judge, or it is known that it
    /// stays quiet.
    fn touched_for_all(&mut self, content: ContentId, out: &mut Vec<Output>) {
        let now = self.now;
        self.ask_shadow_alone(content);
        let counts = self.classes.get_mut(Class::All);
        match counts.map_or(Question::NoRecord, |counts| counts.question(content, now)) {
            Question::Quiet => {}
            Question::NoRecord if self.families.is_alone(content) => {}
            Question::NoRecord | Question::Open => self.touched_in_scope(content, Class::All, out),
        }
    }

    fn knows_scopes_beyond_all(&self) -> bool {
        let beyond = |class: Option<Class>| class.is_some_and(|class| class != Class::All);
        // Class `all` is the lowest.
        beyond(self.classes.last()) || beyond(self.families.last_class())
    }

    /// Whether something is known of this content or its family in a scope beyond `all` that scope `all` does not know.
    fn is_known_in(&self, content: ContentId, class: Class) -> bool {
        self.hot(HotKey { content, class }).is_some()
            || self.families.has_link(content, class)
            || self.families.state(self.families.of(content, class), class).is_some()
    }

    /// The scopes beyond `all` in which something is known of this content or its family.
    pub(crate) fn scopes_beyond_all(&self, content: ContentId) -> Vec<Class> {
        let counted = self.classes.iter().map(|(class, _)| class);
        let beyond = counted.filter(|class| *class != Class::All);
        let mut scopes: Vec<Class> = beyond.filter(|class| self.is_known_in(content, *class)).collect();
        // A decision makes a scope of its own where nothing but events for all was ever counted.
        let decided = self.families.scopes_with_state(self.families.of(content, Class::All));
        scopes.extend(decided);
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    fn touched_in_scope(&mut self, content: ContentId, class: Class, out: &mut Vec<Output>) {
        let family = self.families.of(content, class);
        if family.home() != self.id {
            // Of what a scope does not know by itself it hears with scope `all`'s figures, which go on; its own would stand still.
            if class == Class::All || self.is_known_in(content, class) {
                let at = self.next_settling();
                self.deadlines.add(at, Duty::SendDelta(content, class));
            }
        } else if class == Class::All && self.families.is_plain(family, class) {
            self.judge(family, class, out);
        } else {
            let at = self.next_settling();
            self.deadlines.add(at, Duty::Judge(family, class));
        }
    }

    pub(crate) fn next_settling(&self) -> Timestamp {
        self.now.floor_to(SETTLE_EVERY) + SETTLE_EVERY
    }

    /// [`Group::records`], without a list where the family is one content.
    pub(crate) fn gathered(&self, family: FamilyId, class: Class) -> Gathered<'_> {
        if class == Class::All && self.families.is_plain(family, class) {
            let content = family.0;
            return Gathered::One(self.hot(HotKey { content, class }));
        }
        Gathered::Many(self.records(family, class))
    }

    /// The records of a family's members in one scope, this group's and those of other groups.
    pub(crate) fn records(&self, family: FamilyId, class: Class) -> Vec<&HotRecord> {
        let classes = [Some(Class::All), (class != Class::All).then_some(class)];
        let members = self.families.local_members(family, class);
        let mut records: Vec<&HotRecord> = members
            .iter()
            .flat_map(|member| {
                classes.into_iter().flatten().map(|class| HotKey {
                    content: *member,
                    class,
                })
            })
            .filter_map(|key| self.hot(key))
            .collect();
        let own = self.families.state(family, class);
        records.extend(own.iter().flat_map(|state| state.remote_records()));
        // A member of which only events for all are known sends figures for all alone: they are all there is of it in this scope too.
        if class != Class::All
            && let Some(for_all) = self.families.state(family, Class::All)
        {
            let is_told = |member: &ContentId| own.is_some_and(|state| state.remote.contains_key(member));
            let untold = for_all.remote.iter().filter(|(member, _)| !is_told(member));
            records.extend(untold.flat_map(|(_, (_, records))| records));
        }
        records
    }

    /// What the rule must know of a family in a scope beside its records.
    pub(crate) fn past(&self, family: FamilyId, class: Class) -> Past<'_> {
        let since = [Class::All, class]
            .into_iter()
            .filter_map(|class| self.classes.get(class));
        let watched_since = since.map(|counts| counts.since).min().unwrap_or(self.now);
        let state = self.families.state(family, class);
        let settled_until = state.map_or(Timestamp::MIN, |state| state.episode.settled_until());
        Past::new(watched_since, settled_until, self.nulls())
    }

    /// What is ordinary on the platforms, by the calibration in force.
    fn nulls(&self) -> &[PlatformNull] {
        let in_force = self.calibrations.in_force(self.now);
        in_force.map_or(&[], |calibration| &calibration.platforms)
    }

    /// Asks the rule about a family in a scope. A scope beyond `all` is judged only where it holds more than scope `all` does.
    pub(crate) fn judge(&mut self, family: FamilyId, class: Class, out: &mut Vec<Output>) {
        let now = self.now;
        if self.families.of(family.0, class) != family {
            return; // It joined another meanwhile.
        }
        let gathered = self.gathered(family, class);
        let records = gathered.as_slice();
        let marked = self
            .families
            .state(family, class)
            .is_some_and(|state| state.verdict.is_some());
        if records.is_empty() || !(marked || records.iter().any(|record| record.class() == class)) {
            return;
        }
        let hour = || at_least_seen(total(records, Resolution::Minute1, 60, now), records, now);
        let open = self.families.state(family, class).filter(|state| state.episode.open);
        let (rings, copies) = match open {
            // It rings already: all that is left is to escalate.
            Some(state) => {
                let copies = state.episode.copies_to_escalate(hour());
                let rings = match copies {
                    0 => Rings::Yes,
                    _ if self.matches_by_live(family, class, records) => Rings::ByLiveMatch,
                    _ => Rings::No,
                };
                (rings, copies)
            }
            None => {
                let (past, rule) = (self.past(family, class), &TriggerParameters::SHIPPED);
                let judgement = trigger::judge(records, past, now, rule, &mut self.judged.borrow_mut());
                let rings = match judgement.rings {
                    Rings::No if self.rings_by_watch(family, class, records) => Rings::ByWatch,
                    Rings::No => self.rings_by_live(family, class, records).unwrap_or(Rings::No),
                    rings => rings,
                };
                (rings, judgement.copies_missing)
            }
        };
        if rings == Rings::No {
            // What is watched rings when its rest is over, and what is live by its viewers, whatever its copies and accounts: it is asked about
            // each time.
            let is_asked_each_time = watched(records).is_some() || is_running(records, now);
            if is_asked_each_time || (open.is_none() && self.quarantine_flood(family, class)) {
                return;
            }
            return self.keep_quiet(family, class, copies);
        }
        let hour = hour();
        let Some(state) = self.families.state_mut(family, class, now, self.config.links_max()) else {
            self.counters.states_refused += 1;
            return;
        };
        let level = state.episode.judged(rings, hour, now);
        if level == Some(AlertLevel::Raised) && rings == Rings::Yes {
            self.tell_shadow(family, class);
        }
        if let Some(level) = level {
            self.alert(family, class, level, out);
        }
    }

    /// The highest threshold at which a rule with these parameters would ring for the first time about a content now, whatever their own;
    /// infinite where it is a spike already, `None` where it rings at no threshold: there is no exact record, or there are too few copies by
    /// distinct accounts.
    ///
    /// For evaluations: asked after every sighting, the first time that this reaches a threshold is when a deployment with that threshold
    /// raises its first episode. The content is looked at alone, in scope `all`; no output and no state changes.
    pub fn rings_up_to(&self, content: ContentId, parameters: &TriggerParameters) -> Option<f64> {
        let class = Class::All;
        let record = self.hot(HotKey { content, class })?;
        let since = self.past(FamilyId(content), class).watched_since;
        let at_any = TriggerParameters {
            threshold: f64::NEG_INFINITY,
            ..*parameters
        };
        trigger::judge(
            &[record],
            Past::new(since, Timestamp::MIN, self.nulls()),
            self.now,
            &at_any,
            &mut self.judged.borrow_mut(),
        )
        .rings_up_to
    }

    /// What was known of a content in a class says nothing any more: of the family it has become, of the level of its episode, of what is live.
    #[inline(never)]
    pub(crate) fn end_quiet(&mut self, content: ContentId, class: Class) {
        if let Some(counts) = self.classes.get_mut(class) {
            counts.set_quiet(content, Quiet::default());
        }
    }

    fn keep_quiet(&mut self, family: FamilyId, class: Class, copies: u64) {
        let until = self.now.floor_to(QUIET_AT_MOST) + QUIET_AT_MOST;
        if class == Class::All
            && self.families.is_plain(family, class)
            && let Some(counts) = self.classes.get_mut(class)
        {
            counts.set_quiet(family.0, Quiet { copies, until });
        }
    }

    pub(crate) fn review(&mut self, family: FamilyId, class: Class, out: &mut Vec<Output>) {
        let now = self.now;
        let gathered = self.gathered(family, class);
        let records = gathered.as_slice();
        let hour = at_least_seen(total(records, Resolution::Minute1, 60, now), records, now);
        let is_running = is_running(records, now);
        let matches = is_running && self.matches_by_live(family, class, records);
        let calls = self.calls(family, class, records);
        let Some(state) = self.families.state_mut(family, class, now, self.config.links_max()) else {
            return; // Nothing is open: an open episode has a state.
        };
        let level = match state.episode.open {
            true if matches => state.episode.judged(Rings::ByLiveMatch, hour, now),
            // As long as a stream of it runs it is not over.
            _ if is_running => {
                let hour = hour.max(state.episode.hour_that_keeps_open());
                state.episode.reviewed(hour, now)
            }
            _ => state.episode.reviewed(hour, now),
        };
        let level = match level {
            None if calls => state.episode.called(hour, now),
            // Whatever else is said now says that it pages too.
            level => level,
        };
        if state.episode.open {
            self.deadlines.add(now + REVIEW_EVERY, Duty::Review(family, class));
        }
        if let Some(level) = level {
            // What kept it quiet was how many copies it took to escalate before.
            self.end_quiet(family.0, class);
            self.alert(family, class, level, out);
        }
    }

    /// Whether an open episode that interrupted nobody yet has grown until it does.
    fn calls(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> bool {
        let waits = |state: &FamilyState| state.episode.open && !state.episode.paged;
        self.families.state(family, class).is_some_and(waits)
            && !records.is_empty()
            && self.page_policy().reached(self.priority_by(family, class, records))
    }

    pub(crate) fn alert(&mut self, family: FamilyId, class: Class, level: AlertLevel, out: &mut Vec<Output>) {
        if level == AlertLevel::Raised {
            self.deadlines.add(self.now + REVIEW_EVERY, Duty::Review(family, class));
        }
        let records = self.records(family, class);
        let Some(alert) = self.compose_alert(family, class, level, &records) else {
            return;
        };
        let course = course(&records, self.now);
        let began_at = alert.live.and_then(|_| latest_began_at(&records, self.now));
        // Of a live stream that nobody copied there is no spread to forecast, and nothing to learn.
        let is_forecast = alert.live.is_none() || course.last_3h > 0;
        if level != AlertLevel::Subsided && is_forecast {
            let due = self.now + FORECAST_AHEAD;
            if self.outcomes.expect(family, class, due, course) {
                self.deadlines.add(due, Duty::Learn(family, class));
            }
        }
        self.families.set_paged(family, class, alert.paged);
        if let Some(began_at) = began_at {
            self.families.told_live(family, class, began_at);
            self.set_live_told(family, class, self.now);
        }
        out.push(Output::Alert(Box::new(alert)));
    }

    /// The hour after a forecast is over. Of a family that joined another, or that made room, nobody can tell what came.
    pub(crate) fn learn(&mut self, family: FamilyId, class: Class, due: Timestamp) {
        let records = self.records(family, class);
        let is_known = self.families.of(family.0, class) == family && !records.is_empty();
        let spread = is_known.then(|| total(&records, Resolution::Minute1, 60, self.now));
        self.outcomes.learn(family, class, due, spread);
    }

    /// The alert of a family's episode, from these records.
    pub(crate) fn compose_alert(
        &self,
        family: FamilyId,
        class: Class,
        level: AlertLevel,
        records: &[&HotRecord],
    ) -> Option<Alert> {
        let members = self.families.local_members(family, class);
        let is_quarantined = |content: ContentId| {
            [Class::All, class].iter().any(|class| {
                let counts = self.classes.get(*class);
                counts.is_some_and(|counts| counts.quarantined(content).is_some())
            })
        };
        let subject = Subject {
            family,
            scope: class.scope(),
            level,
            state: self.families.state(family, class)?,
            calibration: &self.outcomes.calibration(class),
            weights: self.weighings.weights(class, self.now),
            records,
            has_flood: members.into_iter().any(is_quarantined),
            past: self.past(family, class),
        };
        compose(&self.config.key, &self.page_policy(), subject, self.now)
    }

    /// The policy in force: the one of the latest calibration whose tick has come, and before the first what this version ships with.
    fn page_policy(&self) -> PagePolicy {
        let in_force = self.calibrations.in_force(self.now);
        in_force.map_or(PagePolicy::SHIPPED, |calibration| PagePolicy {
            calibration: calibration.number,
            threshold: calibration.page_threshold,
            pages_per_day: calibration.pages_per_day,
        })
    }
}

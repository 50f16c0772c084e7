//! The alerts a replica holds: one ring per scope, so that what one scope receives never pushes out what another may read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tocsin_model::{Alert, AlertId, Scope};

use crate::cursor::Cursor;

/// An alert and where it stands in the log.
#[derive(Clone, Debug)]
pub struct HeldAlert {
    /// The order of arrival at this replica, from 1. Never leaves the process.
    pub sequence: u64,
    /// The partition of the alerts topic.
    pub partition: u32,
    /// The offset in it.
    pub offset: u64,
    /// When the log appended it, milliseconds since 1970.
    pub appended_at_ms: i64,
    /// The alert.
    pub alert: Arc<Alert>,
}

/// How much is held per scope.
#[derive(Clone, Copy, Debug)]
pub struct AlertLimits {
    /// The most alerts.
    pub count_max: usize,
    /// How much older than the newest alert of its scope an alert may be, in milliseconds of append stamps.
    pub age_ms_max: i64,
}

/// What a reader asked for, in order of arrival.
#[derive(Clone, Debug)]
pub struct AlertPage {
    /// The alerts.
    pub alerts: Vec<HeldAlert>,
    /// Whether alerts between the cursor and the first of these are no longer held.
    pub gap: bool,
    /// Whether more wait beyond these.
    pub more: bool,
}

/// All rings.
#[derive(Debug)]
pub struct AlertRings {
    limits: AlertLimits,
    rings: DashMap<Scope, Ring>,
    sequence: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    held: VecDeque<HeldAlert>,
    sequences: HashMap<AlertId, u64>,
    /// Per partition: the last position dropped from the front.
    dropped: Cursor,
    newest_ms: i64,
}

impl AlertRings {
    /// Empty rings. Scopes are bounded by the number of party ids there can be.
    pub fn new(limits: AlertLimits) -> Self {
        AlertRings {
            limits,
            rings: DashMap::new(),
            sequence: AtomicU64::new(0),
        }
    }

    /// Takes an alert from the log. An alert whose id is held already changes nothing: ids are deterministic, duplicates are harmless.
    pub fn push(&self, partition: u32, offset: u64, appended_at_ms: i64, alert: Alert) {
        let mut ring = self.rings.entry(alert.scope).or_default();
        if ring.sequences.contains_key(&alert.id) {
            return;
        }
        let sequence = self.sequence.load(Ordering::Relaxed) + 1;
        ring.sequences.insert(alert.id, sequence);
        ring.newest_ms = ring.newest_ms.max(appended_at_ms);
        ring.held.push_back(HeldAlert {
            sequence,
            partition,
            offset,
            appended_at_ms,
            alert: Arc::new(alert),
        });
        ring.trim(self.limits);
        self.sequence.store(sequence, Ordering::Release);
    }

    /// The order number of the newest alert of any scope.
    pub fn newest_sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The alert of this id, when `scope` may see it.
    pub fn get(&self, scope: Scope, id: AlertId) -> Option<HeldAlert> {
        visible(scope).find_map(|ring_scope| {
            let ring = self.rings.get(&ring_scope)?;
            let sequence = *ring.sequences.get(&id)?;
            let index = ring.held.binary_search_by_key(&sequence, |held| held.sequence).ok()?;
            Some(ring.held[index].clone())
        })
    }

    /// The oldest `count_max` alerts that `scope` may see and `cursor` has not passed.
    pub fn after(&self, scope: Scope, cursor: &Cursor, count_max: usize) -> AlertPage {
        // The rings are read one after the other while alerts come in. What came in meanwhile is left for the next page, or a later alert
        // of the second ring could stand before an earlier one of the first, and the cursor would pass over it.
        let newest = self.newest_sequence();
        let mut alerts = Vec::new();
        let (mut gap, mut more) = (false, false);
        for ring_scope in visible(scope) {
            let Some(ring) = self.rings.get(&ring_scope) else {
                continue;
            };
            gap |= (0..Cursor::PARTITIONS_MAX as u32).any(|p| ring.dropped.next(p) > cursor.next(p));
            let mut waiting = ring
                .until(newest)
                .filter(|held| held.offset >= cursor.next(held.partition));
            alerts.extend(waiting.by_ref().take(count_max).cloned());
            more |= waiting.next().is_some();
        }
        alerts.sort_by_key(|held| held.sequence);
        more |= alerts.len() > count_max;
        alerts.truncate(count_max);
        AlertPage { alerts, gap, more }
    }

    /// The newest `count_max` alerts that `scope` may see, oldest first, and the cursor that has passed everything before them.
    pub fn newest(&self, scope: Scope, count_max: usize) -> (Cursor, AlertPage) {
        let newest = self.newest_sequence();
        let mut alerts = Vec::new();
        let mut cursor = Cursor::default();
        for ring_scope in visible(scope) {
            let Some(ring) = self.rings.get(&ring_scope) else {
                continue;
            };
            cursor.pass_all(&ring.dropped);
            alerts.extend(ring.until(newest).cloned());
        }
        alerts.sort_by_key(|held| held.sequence);
        let page = alerts.split_off(alerts.len().saturating_sub(count_max));
        for held in &alerts {
            cursor.pass(held.partition, held.offset);
        }
        let page = AlertPage {
            alerts: page,
            gap: false,
            more: false,
        };
        (cursor, page)
    }

    /// The cursor that has passed everything `scope` may see. It depends on nothing outside the scope.
    pub fn end(&self, scope: Scope) -> Cursor {
        self.newest(scope, 0).0
    }

    /// The cursor that has passed everything `scope` might have seen and that is no longer held.
    pub fn dropped(&self, scope: Scope) -> Cursor {
        let mut dropped = Cursor::default();
        for ring in visible(scope).filter_map(|ring_scope| self.rings.get(&ring_scope)) {
            dropped.pass_all(&ring.dropped);
        }
        dropped
    }

    /// How many alerts are held.
    pub fn count(&self) -> usize {
        self.rings.iter().map(|ring| ring.held.len()).sum()
    }
}

impl Ring {
    fn until(&self, newest: u64) -> impl Iterator<Item = &HeldAlert> {
        self.held.iter().take_while(move |held| held.sequence <= newest)
    }

    fn trim(&mut self, limits: AlertLimits) {
        let oldest_ms = self.newest_ms.saturating_sub(limits.age_ms_max);
        while let Some(front) = self.held.front() {
            if self.held.len() <= limits.count_max && front.appended_at_ms >= oldest_ms {
                return;
            }
            self.sequences.remove(&front.alert.id);
            self.dropped.pass(front.partition, front.offset);
            self.held.pop_front();
        }
    }
}

/// The scopes whose alerts a reader of `scope` sees: its own, and `all`, whose alerts rest on events every reader may see.
fn visible(scope: Scope) -> impl Iterator<Item = Scope> {
    let all = (scope != Scope::All).then_some(Scope::All);
    std::iter::once(scope).chain(all)
}

//! Alerts as they stand in `tocsin.alerts`: Avro single-object encoding, with the names of the platforms and the party they speak of.

use tocsin_model::{
    Alert, AlertId, AlertLevel, AlertReason, Estimate, LiveFigures, Milliseconds, NextHour, PartyId, PartyInfluence,
    PlatformFigures, PlatformId, PriorityTerm, Quantiles, Scope, ScoreTerms, Timestamp, TriggerEvidence,
};

use crate::avro::{ArrayWalk, Cursor, put_array, put_bytes, put_double, put_long, put_option};
use crate::event::put_hash;
use crate::record::{
    invalid, narrow, put_count, put_id, put_interval, put_scope, read_family, read_hash, read_id, read_interval,
    read_scope,
};
use crate::{Names, RecordError, SchemaName, framing};

/// An alert with the names it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRecord {
    /// The alert.
    pub alert: Alert,
    /// The names of its platforms and of its parties, where they were known.
    pub names: Names,
}

/// An alert as a record value. Of `names`, only those the alert speaks of are written.
pub fn encode(alert: &Alert, names: &Names) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    framing::begin(SchemaName::Alert, &mut out);
    put_id(&mut out, alert.id.0);
    put_scope(&mut out, alert.scope);
    let party_name = match alert.scope {
        Scope::Party(party) => names.parties.get(&party),
        _ => None,
    };
    put_option(&mut out, party_name, |out, name| {
        put_bytes(out, name.as_str().as_bytes())
    });
    put_id(&mut out, alert.family.0.0);
    put_hash(&mut out, &alert.hash);
    put_long(&mut out, alert.level as i64);
    put_long(&mut out, i64::from(alert.episode));
    put_long(&mut out, i64::from(alert.rule_version));
    put_long(&mut out, alert.at.0);
    put_long(&mut out, alert.first_seen.0);
    put_long(&mut out, alert.exact_since.0);
    let trigger = &alert.trigger;
    put_long(&mut out, trigger.window.0);
    put_count(&mut out, trigger.observed);
    put_double(&mut out, trigger.expected);
    put_double(&mut out, trigger.score);
    put_double(&mut out, trigger.threshold);
    put_estimate(&mut out, trigger.accounts);
    put_interval(&mut out, alert.spread_5m);
    put_interval(&mut out, alert.spread_1h);
    put_interval(&mut out, alert.spread_24h);
    put_array(&mut out, alert.platforms.iter(), |out, figures| {
        put_long(out, i64::from(figures.platform.0));
        let name = names.platforms.get(&figures.platform);
        put_bytes(out, name.map_or("", |name| name.as_str()).as_bytes());
        put_count(out, figures.spread_1h);
        put_count(out, figures.spread_24h);
        put_estimate(out, figures.reach);
    });
    put_double(&mut out, alert.forecast_1h);
    put_double(&mut out, alert.priority);
    put_array(&mut out, alert.priority_terms.iter(), |out, term| {
        put_bytes(out, term.name.as_bytes());
        put_double(out, term.value);
    });
    put_long(&mut out, i64::from(alert.members));
    put_option(&mut out, alert.forecast, |out, forecast| {
        put_quantiles(out, forecast.spread);
        put_quantiles(out, forecast.accounts);
    });
    out.push(u8::from(alert.paged));
    put_double(&mut out, alert.page_score);
    put_double(&mut out, alert.page_threshold);
    put_double(&mut out, alert.pages_per_day);
    put_array(&mut out, alert.influence.iter(), |out, influence| {
        put_long(out, i64::from(influence.party.0));
        let name = names.parties.get(&influence.party);
        put_bytes(out, name.map_or("", |name| name.as_str()).as_bytes());
        put_double(out, influence.share);
        put_double(out, influence.counted_share);
        out.push(u8::from(influence.capped));
    });
    out.push(u8::from(alert.quarantined));
    put_long(&mut out, alert.reason as i64);
    put_option(&mut out, alert.live, put_live);
    put_option(&mut out, alert.score_terms, |out, terms| {
        for (_, value) in terms.named() {
            put_double(out, value);
        }
    });
    put_count(&mut out, alert.calibration);
    out
}

/// The alert in a record value of any version.
///
/// # Errors
/// The bytes are not an alert, or hold a scope or level this version does not know.
pub fn decode(bytes: &[u8]) -> Result<AlertRecord, RecordError> {
    let datum = framing::open(SchemaName::Alert, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let mut names = Names::default();
    let id = AlertId(read_id(cursor)?);
    let scope = read_scope(cursor)?;
    if cursor.present()? {
        let name = cursor.string()?.parse().map_err(|_| invalid("scope_party_name"))?;
        let Scope::Party(party) = scope else {
            return Err(invalid("scope_party_name"));
        };
        names.parties.insert(party, name);
    }
    let alert = Alert {
        id,
        scope,
        family: read_family(cursor)?,
        hash: read_hash(cursor)?,
        level: AlertLevel::from_number(cursor.branch(1 + AlertLevel::ALL.len() as u8)?).ok_or(invalid("level"))?,
        episode: narrow(cursor, "episode")?,
        rule_version: narrow(cursor, "rule_version")?,
        at: Timestamp(cursor.long()?),
        first_seen: Timestamp(cursor.long()?),
        exact_since: Timestamp(cursor.long()?),
        trigger: TriggerEvidence {
            window: Milliseconds(cursor.long()?),
            observed: narrow(cursor, "observed")?,
            expected: cursor.double()?,
            score: cursor.double()?,
            threshold: cursor.double()?,
            accounts: read_estimate(cursor)?,
        },
        spread_5m: read_interval(cursor, "spread_5m")?,
        spread_1h: read_interval(cursor, "spread_1h")?,
        spread_24h: read_interval(cursor, "spread_24h")?,
        platforms: read_platforms(cursor, &mut names)?,
        forecast_1h: cursor.double()?,
        priority: cursor.double()?,
        priority_terms: read_terms(cursor)?,
        members: narrow(cursor, "members")?,
        forecast: cursor.present()?.then(|| read_next_hour(cursor)).transpose()?,
        paged: cursor.boolean()?,
        page_score: cursor.double()?,
        page_threshold: cursor.double()?,
        pages_per_day: cursor.double()?,
        influence: read_influence(cursor, &mut names)?,
        quarantined: cursor.boolean()?,
        reason: AlertReason::from_number(cursor.branch(1 + AlertReason::ALL.len() as u8)?).ok_or(invalid("reason"))?,
        live: cursor.present()?.then(|| read_live(cursor)).transpose()?,
        score_terms: cursor.present()?.then(|| read_score_terms(cursor)).transpose()?,
        calibration: narrow(cursor, "calibration")?,
    };
    cursor.finish()?;
    Ok(AlertRecord { alert, names })
}

fn read_platforms(cursor: &mut Cursor<'_>, names: &mut Names) -> Result<Vec<PlatformFigures>, RecordError> {
    let mut platforms = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        let platform = PlatformId(narrow(cursor, "platform")?);
        let name = cursor.string()?;
        if !name.is_empty() {
            let name = name.parse().map_err(|_| invalid("platform_name"))?;
            names.platforms.insert(platform, name);
        }
        platforms.push(PlatformFigures {
            platform,
            spread_1h: narrow(cursor, "spread_1h")?,
            spread_24h: narrow(cursor, "spread_24h")?,
            reach: read_estimate(cursor)?,
        });
    }
    Ok(platforms)
}

fn read_terms(cursor: &mut Cursor<'_>) -> Result<Vec<PriorityTerm>, RecordError> {
    let mut terms = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        terms.push(PriorityTerm {
            name: cursor.string()?.to_owned().into(),
            value: cursor.double()?,
        });
    }
    Ok(terms)
}

fn read_influence(cursor: &mut Cursor<'_>, names: &mut Names) -> Result<Vec<PartyInfluence>, RecordError> {
    let mut influence = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        let party = PartyId(narrow(cursor, "party")?);
        let name = cursor.string()?;
        if !name.is_empty() {
            let name = name.parse().map_err(|_| invalid("party_name"))?;
            names.parties.insert(party, name);
        }
        influence.push(PartyInfluence {
            party,
            share: cursor.double()?,
            counted_share: cursor.double()?,
            capped: cursor.boolean()?,
        });
    }
    Ok(influence)
}

fn put_live(out: &mut Vec<u8>, live: LiveFigures) {
    put_long(out, i64::from(live.streams));
    put_long(out, i64::from(live.running));
    put_long(out, live.started_at.0);
    put_option(out, live.ended_at, |out, ended_at| put_long(out, ended_at.0));
    put_count(out, live.viewers);
    put_count(out, live.peak_viewers);
    put_count(out, live.viewer_minutes);
    put_double(out, live.score);
    put_double(out, live.threshold);
}

fn read_live(cursor: &mut Cursor<'_>) -> Result<LiveFigures, RecordError> {
    Ok(LiveFigures {
        streams: narrow(cursor, "streams")?,
        running: narrow(cursor, "running")?,
        started_at: Timestamp(cursor.long()?),
        ended_at: cursor.present()?.then(|| cursor.long()).transpose()?.map(Timestamp),
        viewers: narrow(cursor, "viewers")?,
        peak_viewers: narrow(cursor, "peak_viewers")?,
        viewer_minutes: narrow(cursor, "viewer_minutes")?,
        score: cursor.double()?,
        threshold: cursor.double()?,
    })
}

fn read_score_terms(cursor: &mut Cursor<'_>) -> Result<ScoreTerms, RecordError> {
    Ok(ScoreTerms {
        rarity: cursor.double()?,
        pace: cursor.double()?,
        growth: cursor.double()?,
        synchrony: cursor.double()?,
        reuploads: cursor.double()?,
    })
}

fn put_quantiles(out: &mut Vec<u8>, quantiles: Quantiles) {
    put_double(out, quantiles.low);
    put_double(out, quantiles.median);
    put_double(out, quantiles.high);
}

fn read_next_hour(cursor: &mut Cursor<'_>) -> Result<NextHour, RecordError> {
    Ok(NextHour {
        spread: read_quantiles(cursor)?,
        accounts: read_quantiles(cursor)?,
    })
}

fn read_quantiles(cursor: &mut Cursor<'_>) -> Result<Quantiles, RecordError> {
    Ok(Quantiles {
        low: cursor.double()?,
        median: cursor.double()?,
        high: cursor.double()?,
    })
}

fn put_estimate(out: &mut Vec<u8>, estimate: Estimate) {
    put_double(out, estimate.estimate);
    put_double(out, estimate.low);
    put_double(out, estimate.high);
}

fn read_estimate(cursor: &mut Cursor<'_>) -> Result<Estimate, RecordError> {
    Ok(Estimate {
        estimate: cursor.double()?,
        low: cursor.double()?,
        high: cursor.double()?,
    })
}

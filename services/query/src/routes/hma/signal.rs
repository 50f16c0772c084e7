use tocsin_exchange::SignalType;
use tocsin_family::Pdq;
use tocsin_model::{Algorithm, ContentHash};
use tocsin_runtime::{Problem, ProblemKind};

use super::{MALFORMED_SIGNAL, UNKNOWN_SIGNAL_TYPE, UNMATCHABLE_SIGNAL};
use crate::answer::Sought;
use crate::metrics::LookUp;
use crate::routes::parameters::refused;
use crate::state::QueryState;

/// The type of this name, if its signals are looked up.
pub(super) fn signal_type(state: &QueryState, name: &str) -> Result<SignalType, Problem> {
    match SignalType::from_name(name) {
        Some(kind) if kind.algorithm().is_some() => Ok(kind),
        Some(kind) => Err(turn_down(state, UNKNOWN_SIGNAL_TYPE, &not_looked_up(kind))),
        None => {
            let name: String = name.chars().take(32).collect();
            Err(turn_down(state, UNKNOWN_SIGNAL_TYPE, &format!("signal_type: {name}")))
        }
    }
}

/// The hash that a signal of a type is.
pub(super) fn hash(
    state: &QueryState,
    kind: SignalType,
    signal: &str,
    quality: Option<u8>,
) -> Result<ContentHash, Problem> {
    let algorithm = kind
        .algorithm()
        .ok_or_else(|| turn_down(state, UNKNOWN_SIGNAL_TYPE, &not_looked_up(kind)))?;
    ContentHash::parse(algorithm, signal.trim(), quality)
        .map_err(|error| turn_down(state, MALFORMED_SIGNAL, &format!("signal: {error}")))
}

fn not_looked_up(kind: SignalType) -> String {
    let name = kind.name();
    format!("{name}: events carry no frames, so that videos are matched by their files' hashes alone")
}

/// What a look-up looks for.
pub(super) fn sought(
    state: &QueryState,
    signal_type: Option<&str>,
    signal: Option<&str>,
    quality: Option<&str>,
) -> Result<Sought, Problem> {
    let signal_type = signal_type.ok_or_else(|| refused("signal_type: absent"))?;
    let kind = self::signal_type(state, signal_type)?;
    let signal = signal.ok_or_else(|| refused("signal: absent"))?;
    let hash = self::hash(state, kind, signal, self::quality(quality)?)?;
    if hash.algorithm() != Algorithm::Pdq {
        return Ok(Sought::Equal(state.key().content_id(&hash)));
    }
    let pdq = Pdq::of(&hash).map_err(|error| turn_down(state, UNMATCHABLE_SIGNAL, &format!("signal: {error}")))?;
    Ok(Sought::Near(pdq))
}

fn quality(text: Option<&str>) -> Result<Option<u8>, Problem> {
    let of_text = |text: &str| text.parse().ok().filter(|quality| *quality <= 100);
    text.map(|text| of_text(text).ok_or_else(|| refused("quality: 0 to 100")))
        .transpose()
}

/// A refusal of a signal, counted.
pub(super) fn turn_down(state: &QueryState, kind: ProblemKind, detail: &str) -> Problem {
    let outcome = LookUp::ALL.into_iter().find(|outcome| outcome.name() == kind.code);
    state.metrics().look_up(outcome.unwrap_or(LookUp::MalformedSignal));
    Problem::new(kind).with_detail(detail)
}

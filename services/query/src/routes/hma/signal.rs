use tocsin_exchange::{SignalType, VPDQ_FRAMES_MAX, vpdq_frames};
use tocsin_family::{Pdq, Video};
use tocsin_model::{Algorithm, ContentHash};
use tocsin_runtime::{Problem, ProblemKind};

use super::{MALFORMED_SIGNAL, UNKNOWN_SIGNAL_TYPE, UNMATCHABLE_SIGNAL};
use crate::answer::Sought;
use crate::metrics::LookUp;
use crate::routes::parameters::refused;
use crate::state::QueryState;

/// The type of this name.
pub(super) fn signal_type(state: &QueryState, name: &str) -> Result<SignalType, Problem> {
    SignalType::from_name(name).ok_or_else(|| {
        let name: String = name.chars().take(32).collect();
        turn_down(state, UNKNOWN_SIGNAL_TYPE, &format!("signal_type: {name}"))
    })
}

/// The hash that a signal of a type is; of `vpdq`, whose signals are lists of frames, see [`video`].
pub(super) fn hash(
    state: &QueryState,
    kind: SignalType,
    signal: &str,
    quality: Option<u8>,
) -> Result<ContentHash, Problem> {
    ContentHash::parse(kind.algorithm(), signal.trim(), quality)
        .map_err(|error| turn_down(state, MALFORMED_SIGNAL, &format!("signal: {error}")))
}

/// What is matched of the frames that a signal of type `vpdq` is.
pub(super) fn video(state: &QueryState, signal: &str) -> Result<Video, Problem> {
    let frames = vpdq_frames(signal).map_err(|_| {
        let form = "signal: a JSON array of \"<64 hexadecimal digits>,<quality>,<seconds>\" for each frame";
        turn_down(state, MALFORMED_SIGNAL, &format!("{form}, {VPDQ_FRAMES_MAX} at most"))
    })?;
    Video::sampled(frames).ok_or_else(|| {
        let wanted = Video::FRAMES_MIN;
        turn_down(
            state,
            UNMATCHABLE_SIGNAL,
            &format!("signal: {wanted} different frames of quality 50 or more are wanted"),
        )
    })
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
    let quality = self::quality(quality)?;
    if kind.algorithm() == Algorithm::Vpdq {
        return video(state, signal).map(Sought::SameVideo);
    }
    let hash = self::hash(state, kind, signal, quality)?;
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

use tocsin_family::Pdq;
use tocsin_model::{Algorithm, ContentHash};
use tocsin_runtime::{Problem, ProblemKind};

use super::{MALFORMED_SIGNAL, UNKNOWN_SIGNAL_TYPE, UNMATCHABLE_SIGNAL};
use crate::answer::Sought;
use crate::metrics::LookUp;
use crate::routes::parameters::refused;
use crate::state::QueryState;

/// A type of signal, as HMA and the package `threatexchange` name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalType {
    Pdq,
    /// Not one of theirs by this name, but what a SHA-256 is called in lists.
    Sha256,
    VideoMd5,
    VideoSha256,
    /// Frames, which events do not carry: it is known and not answered.
    Vpdq,
}

impl SignalType {
    pub(super) const ALL: [SignalType; 5] = [
        SignalType::Pdq,
        SignalType::Sha256,
        SignalType::VideoMd5,
        SignalType::VideoSha256,
        SignalType::Vpdq,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            SignalType::Pdq => "pdq",
            SignalType::Sha256 => "sha256",
            SignalType::VideoMd5 => "video_md5",
            SignalType::VideoSha256 => "video_sha256",
            SignalType::Vpdq => "vpdq",
        }
    }

    /// What its signals are; `None` where they are not looked up.
    pub(super) fn algorithm(self) -> Option<Algorithm> {
        match self {
            SignalType::Pdq => Some(Algorithm::Pdq),
            SignalType::Sha256 | SignalType::VideoSha256 => Some(Algorithm::Sha256),
            SignalType::VideoMd5 => Some(Algorithm::Md5),
            SignalType::Vpdq => None,
        }
    }

    /// The type of this name, if its signals are looked up.
    pub(super) fn parse(state: &QueryState, name: &str) -> Result<SignalType, Problem> {
        let found = SignalType::ALL.into_iter().find(|kind| kind.name() == name);
        match found {
            Some(SignalType::Vpdq) => {
                let why = "vpdq: events carry no frames, so that videos are matched by their files' hashes alone";
                Err(turn_down(state, UNKNOWN_SIGNAL_TYPE, why))
            }
            Some(kind) => Ok(kind),
            None => {
                let name: String = name.chars().take(32).collect();
                Err(turn_down(state, UNKNOWN_SIGNAL_TYPE, &format!("signal_type: {name}")))
            }
        }
    }

    /// The hash that a signal of this type is.
    pub(super) fn hash(self, state: &QueryState, signal: &str, quality: Option<u8>) -> Result<ContentHash, Problem> {
        let algorithm = self
            .algorithm()
            .ok_or_else(|| turn_down(state, UNKNOWN_SIGNAL_TYPE, self.name()))?;
        ContentHash::parse(algorithm, signal.trim(), quality)
            .map_err(|error| turn_down(state, MALFORMED_SIGNAL, &format!("signal: {error}")))
    }
}

/// What a look-up looks for.
pub(super) fn sought(
    state: &QueryState,
    signal_type: Option<&str>,
    signal: Option<&str>,
    quality: Option<&str>,
) -> Result<Sought, Problem> {
    let signal_type = signal_type.ok_or_else(|| refused("signal_type: absent"))?;
    let kind = SignalType::parse(state, signal_type)?;
    let signal = signal.ok_or_else(|| refused("signal: absent"))?;
    let hash = kind.hash(state, signal, self::quality(quality)?)?;
    if kind != SignalType::Pdq {
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

use std::sync::Arc;
use std::time::Instant;

use tocsin_runtime::Problem;
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::instant;

use crate::answer::{FrameAnswer, RankedFamilies, all_that_spreads};
use crate::frames::{FrameReader, written};
use crate::state::QueryState;
use crate::tail::now_ms;

/// What spread most in the last five minutes, as the frame before those that wait for this reader.
///
/// It looks at every hot family, so it is made on a thread of its own, one at a time with the rankings, and once a second for each scope however many
/// streams begin: who comes within that second is given the same, and what moved since with the next frame. Work that nobody waits for any more keeps
/// its turn until it ends.
pub(super) async fn first_frame(
    state: &QueryState,
    mut frames: FrameReader,
) -> Result<(FrameReader, Arc<str>), Problem> {
    if let Some(text) = frames.begin_as_others(Instant::now()) {
        return Ok((frames, text));
    }
    let turn = state.trending().turn().await?;
    if let Some(text) = frames.begin_as_others(Instant::now()) {
        return Ok((frames, text));
    }
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        // First where it begins, then what is in it: what moves in between comes with the next frame.
        let frame = frames.begin();
        let (replica, now_ms) = (worker.replica(), now_ms());
        let ranked = RankedFamilies::of(replica, frames.scope(), WindowLength::Minutes5, now_ms);
        let all = all_that_spreads(replica, &ranked, now_ms);
        let text = written(&FrameAnswer {
            frame,
            frames: 0,
            as_of: all.as_of.and_then(instant),
            families: all.families.into_iter().map(|(_, figures)| figures).collect(),
            families_gone: Vec::new(),
            families_left_out: all.left_out,
        });
        frames.keep_first(Arc::clone(&text), Instant::now());
        (frames, text)
    });
    made.await.map_err(|error| Problem::internal(&error))
}

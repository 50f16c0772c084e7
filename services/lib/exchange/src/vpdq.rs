//! vPDQ signals: a JSON array of a text for each frame, its PDQ hash, quality and time in seconds (`json_to_vpdq` of
//! `threatexchange/extensions/vpdq/vpdq_util.py`, 2026). Their order and times say nothing where videos are matched.

use std::borrow::Cow;

use tocsin_model::Frame;

use crate::RejectCode;

/// The most frames of one signal: more than an hour, at one in a second.
pub const VPDQ_FRAMES_MAX: usize = 4_096;

/// The frames of a signal, in its order; none of an empty text, as its authors have it.
///
/// # Errors
/// It is no such array, one of its frames is none, or there are more than [`VPDQ_FRAMES_MAX`].
pub fn vpdq_frames(signal: &str) -> Result<Vec<Frame>, RejectCode> {
    if signal.trim().is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<Cow<'_, str>> = serde_json::from_str(signal).map_err(|_| RejectCode::HashMalformed)?;
    if texts.len() > VPDQ_FRAMES_MAX {
        return Err(RejectCode::HashMalformed);
    }
    let frames = texts
        .iter()
        .map(|text| Frame::from_vpdq(text).ok_or(RejectCode::HashMalformed));
    frames.collect()
}

#[cfg(test)]
mod tests {
    //! Goal: a signal is read as its authors write it, and what is none is refused whole.

    use super::*;

    #[test]
    fn a_signal_is_read_as_its_authors_write_it() {
        let hex = "0f".repeat(32);
        let signal = format!(r#"["{hex},100,0.000", "{},7,12.5"]"#, hex.to_uppercase());
        let frames = vpdq_frames(&signal).expect("a signal");
        assert_eq!(
            frames,
            [100, 7].map(|quality| Frame {
                pdq: [0x0f; 32],
                quality
            })
        );
        assert_eq!(vpdq_frames("[]"), Ok(vec![]));
        assert_eq!(vpdq_frames(" "), Ok(vec![]));
        for wrong in [
            "{}",
            "[",
            "[1]",
            "[\"\"]",
            &format!(r#"["{hex},100"]"#),
            &format!(r#"["{hex},101,0"]"#),
            &format!(r#"["{hex},-1,0"]"#),
            &format!(r#"["{hex},50,-0.5"]"#),
            &format!(r#"["{hex},50,NaN"]"#),
            &format!(r#"["{hex},50,1,2"]"#),
            &format!(r#"["{}0,50,1"]"#, &hex[2..]),
            &format!(r#"["{hex},50,1", null]"#),
            &hex,
        ] {
            assert_eq!(vpdq_frames(wrong), Err(RejectCode::HashMalformed), "{wrong}");
        }
        let many = |count: usize| format!("[{}]", vec![format!("\"{hex},50,0\""); count].join(","));
        assert_eq!(
            vpdq_frames(&many(VPDQ_FRAMES_MAX)).map(|frames| frames.len()),
            Ok(VPDQ_FRAMES_MAX)
        );
        assert_eq!(vpdq_frames(&many(VPDQ_FRAMES_MAX + 1)), Err(RejectCode::HashMalformed));
    }
}

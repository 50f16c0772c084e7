use tocsin_model::{Kind, Sighting, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// What the events of one platform and kind say beside their number over time: all that priority takes from them. Since promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    /// When the earliest of them occurred.
    pub(crate) first_at: Timestamp,
    /// How many there were.
    pub(crate) events: u64,
    /// Sum of the stated audiences, and how many stated one: of uploads and shares who may see them, of view samples the views since the sample before.
    /// None of a blocked upload: nobody saw it. None of a live stream: who watches now is no sum.
    pub(crate) audience_sum: u64,
    pub(crate) audience_count: u64,
    /// Sum of the confidences of the label `tvec`, in percent.
    pub(crate) label_percent: u64,
    /// How many were posted after a removal.
    pub(crate) after_removal: u64,
}

impl Voice {
    /// Before anything was said.
    pub(crate) const SILENT: Voice = Voice {
        first_at: Timestamp(i64::MAX),
        events: 0,
        audience_sum: 0,
        audience_count: 0,
        label_percent: 0,
        after_removal: 0,
    };

    /// Takes an event in. `removals` of any platform came before it.
    pub(crate) fn hear(&mut self, sighting: &Sighting<'_>, at: Timestamp, removals: u64) {
        self.first_at = self.first_at.min(at);
        self.events += 1;
        if sighting.kind == Kind::ViewSample {
            self.hear_audience(sighting.audience);
            return;
        }
        // A stream is labelled once, at its start: its heartbeats say nothing more.
        if !sighting.kind.is_spread() && sighting.kind != Kind::LiveStart {
            return;
        }
        if sighting.tvec_confidence != Sighting::NO_LABEL {
            self.label_percent += u64::from(sighting.tvec_confidence.min(100));
        }
        if matches!(sighting.kind, Kind::BlockedUpload | Kind::LiveStart) {
            return;
        }
        self.hear_audience(sighting.audience);
        self.after_removal += u64::from(removals > 0);
    }

    /// 0 is what states none.
    fn hear_audience(&mut self, audience: u32) {
        if audience > 0 {
            self.audience_sum = self.audience_sum.saturating_add(u64::from(audience));
            self.audience_count += 1;
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.signed(self.first_at.0);
        for number in [
            self.events,
            self.audience_sum,
            self.audience_count,
            self.label_percent,
            self.after_removal,
        ] {
            out.number(number);
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Voice {
            first_at: Timestamp(input.signed()?),
            events: input.number()?,
            audience_sum: input.number()?,
            audience_count: input.number()?,
            label_percent: input.number()?,
            after_removal: input.number()?,
        })
    }
}

//! What one event looks like.

use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Label, Name, Sharing, Surface, Timestamp,
};

use super::draw::{Draw, Weighted};

/// Accounts of ordinary traffic.
const ACCOUNTS: u64 = 1_000_000;
/// The share of ordinary events that carry the label `tvec`: the platforms' classifiers err.
const ORDINARY_LABELLED_SHARE: f64 = 0.001;

/// The hash of a content: of a purpose, by number.
pub(crate) fn content(seed: u64, purpose: &str, number: u64) -> ContentHash {
    let bytes: [u8; 32] = Draw::of(seed, purpose, number).bytes();
    ContentHash::from_bytes(Algorithm::Sha256, bytes.to_vec(), None).expect("a SHA-256 has 32 bytes")
}

/// The pseudonym of an account: of a purpose, by number.
pub(crate) fn account(seed: u64, purpose: &str, number: u64) -> AccountPseudonym {
    AccountPseudonym(Draw::of(seed, purpose, number).bytes())
}

/// The platform and kind of an event, and what it is about.
pub(crate) struct Copy {
    pub(crate) platform: Name,
    pub(crate) kind: Kind,
    pub(crate) content: ContentHash,
    pub(crate) same_as: Option<ContentHash>,
    pub(crate) account: AccountPseudonym,
    pub(crate) labelled_share: f64,
    /// The smallest audience.
    pub(crate) audience_min: f64,
}

/// Makes the whole event.
pub(crate) fn event(copy: Copy, occurred_at: Timestamp, draw: &mut Draw) -> Event {
    let labels = if draw.happens(copy.labelled_share) {
        vec![Label {
            name: Event::LABEL_TVEC.to_owned(),
            confidence: (0.6 + 0.4 * draw.unit()) as f32,
        }]
    } else {
        Vec::new()
    };
    let surface = [Surface::Feed, Surface::Recommendation, Surface::Search, Surface::Direct][draw.below(4) as usize];
    Event {
        event_id: event_id(occurred_at, draw),
        platform: copy.platform,
        kind: copy.kind,
        occurred_at,
        content: vec![copy.content],
        same_as: copy.same_as.into_iter().collect(),
        frames: Vec::new(),
        account: Some(copy.account),
        account_epoch: 1,
        region: Some(*[b"NZ", b"DE", b"US", b"BR", b"IN"][draw.below(5) as usize]),
        language: Some(*[b"en", b"de", b"en", b"pt", b"hi"][draw.below(5) as usize]),
        // A refused upload was seen by nobody.
        audience: (copy.kind != Kind::BlockedUpload).then(|| draw.heavy(copy.audience_min)),
        surface,
        labels,
        sharing: Sharing::All,
    }
}

/// A UUID of version 7 (RFC 9562, section 5.7).
fn event_id(at: Timestamp, draw: &mut Draw) -> EventId {
    let mut bytes: [u8; 16] = draw.bytes();
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    EventId(bytes)
}

/// What ordinary events are about.
#[derive(Clone, Debug)]
pub(crate) struct Ordinary {
    seed: u64,
    repeated_share: f64,
    repeated: Weighted,
    singles: u64,
}

impl Ordinary {
    pub(crate) fn new(seed: u64, popularity: super::Popularity) -> Self {
        Ordinary {
            seed,
            repeated_share: popularity.repeated_share,
            repeated: Weighted::zipf(popularity.contents.max(1), popularity.exponent),
            singles: 0,
        }
    }

    pub(crate) fn next(&mut self, platform: Name, draw: &mut Draw) -> Copy {
        let repeated = draw.happens(self.repeated_share);
        let content = if repeated {
            content(self.seed, "repeated", self.repeated.draw(draw) as u64)
        } else {
            self.singles += 1;
            content(self.seed, "single", self.singles)
        };
        // Of what is seen again, most is passed on; what is seen once is new.
        let kind = match draw.below(1_000) {
            0..5 => Kind::Report,
            5..10 => Kind::BlockedUpload,
            10..30 => Kind::ViewSample,
            _ if repeated => Kind::Share,
            _ => Kind::Upload,
        };
        Copy {
            platform,
            kind,
            content,
            same_as: None,
            account: account(self.seed, "account", draw.below(ACCOUNTS)),
            labelled_share: ORDINARY_LABELLED_SHARE,
            audience_min: 5.0,
        }
    }
}

/// The copies of one benign content.
pub(crate) fn burst(seed: u64, number: u64, platform: Name, draw: &mut Draw) -> Copy {
    Copy {
        platform,
        kind: if draw.happens(0.3) { Kind::Upload } else { Kind::Share },
        content: content(seed, "burst", number),
        same_as: None,
        account: account(seed, "account", draw.below(ACCOUNTS)),
        labelled_share: ORDINARY_LABELLED_SHARE,
        audience_min: 5.0,
    }
}

/// The copies of one crisis.
#[derive(Clone, Debug)]
pub(crate) struct Crisis {
    seed: u64,
    number: u64,
    config: super::CrisisConfig,
    variants: Weighted,
    accounts: u64,
}

impl Crisis {
    pub(crate) fn new(seed: u64, number: u64, config: super::CrisisConfig) -> Self {
        Crisis {
            seed,
            number,
            config,
            variants: Weighted::zipf(config.variants.max(1), 1.5),
            accounts: 0,
        }
    }

    /// The hash of a variant, 0 the first.
    pub(crate) fn variant(&self, variant: u64) -> ContentHash {
        content(self.seed, "crisis", self.number << 32 | variant)
    }

    pub(crate) fn next(&mut self, platform: Name, draw: &mut Draw) -> Copy {
        let kind = if draw.happens(self.config.blocked_share) {
            Kind::BlockedUpload
        } else {
            Kind::Upload
        };
        let variant = self.variants.draw(draw) as u64;
        let asserted = variant > 0 && draw.happens(0.5);
        let again = self.accounts > 0 && draw.happens(self.config.repeated_account_share);
        let number = if again {
            draw.below(self.accounts)
        } else {
            self.accounts += 1;
            self.accounts - 1
        };
        Copy {
            platform,
            kind,
            content: self.variant(variant),
            same_as: asserted.then(|| self.variant(0)),
            account: account(self.seed, "crisis account", self.number << 32 | number),
            labelled_share: self.config.labelled_share,
            audience_min: 50.0,
        }
    }

    pub(crate) fn report(&mut self, platform: Name, draw: &mut Draw) -> Copy {
        Copy {
            platform,
            kind: Kind::Report,
            content: self.variant(0),
            same_as: None,
            account: account(self.seed, "account", draw.below(ACCOUNTS)),
            labelled_share: 0.0,
            audience_min: 1.0,
        }
    }
}

use sha2::{Digest as _, Sha256};
use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, Event, EventId, Frame, HashRef, Kind, Label, Name, Sharing, Surface,
    Timestamp,
};

use super::check;
use crate::EventError;
use crate::avro::{ArrayWalk, Cursor, Malformed};

/// A valid event, borrowed from the Avro bytes it was read from. Making one allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// See [`Event::event_id`].
    pub event_id: EventId,
    /// A valid [`Name`].
    pub platform: &'a str,
    /// See [`Event::kind`].
    pub kind: Kind,
    /// See [`Event::occurred_at`].
    pub occurred_at: Timestamp,
    /// See [`Event::content`].
    pub content: HashList<'a>,
    /// The hash of `content` that routes the event, as [`ContentHash::strongest`] finds it.
    pub strongest: HashRef<'a>,
    /// See [`Event::same_as`].
    pub same_as: HashList<'a>,
    /// See [`Event::frames`].
    pub frames: FrameList<'a>,
    /// See [`Event::account`].
    pub account: Option<AccountPseudonym>,
    /// See [`Event::account_epoch`].
    pub account_epoch: u32,
    /// See [`Event::region`].
    pub region: Option<[u8; 2]>,
    /// See [`Event::language`].
    pub language: Option<[u8; 2]>,
    /// See [`Event::audience`].
    pub audience: Option<u32>,
    /// See [`Event::surface`].
    pub surface: Surface,
    /// See [`Event::labels`].
    pub labels: LabelList<'a>,
    /// See [`Event::sharing`].
    pub sharing: Sharing,
}

/// A hash with its quality, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashView<'a> {
    /// Algorithm and raw bytes.
    pub hash: HashRef<'a>,
    /// The quality of a perceptual hash, 0 to 100.
    pub quality: Option<u8>,
}

/// Valid hashes, still as Avro bytes.
#[derive(Clone, Copy, Debug)]
pub struct HashList<'a> {
    bytes: &'a [u8],
    length: usize,
}

/// Valid frames, still as Avro bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameList<'a> {
    bytes: &'a [u8],
    length: usize,
}

/// Valid labels, still as Avro bytes.
#[derive(Clone, Copy, Debug)]
pub struct LabelList<'a> {
    bytes: &'a [u8],
    length: usize,
}

/// What became of reading one event: the outer error means that the bytes are broken from here on, the inner one concerns this event alone.
pub(super) type Read<'a> = Result<Result<EventRef<'a>, EventError>, Malformed>;

/// Which fields an event has. Producers stay at a version for years, so both are read as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// Those of version 1: without frames, which stand at the end.
    First,
    /// Those of the newest version.
    Newest,
}

/// Reads the datum at the cursor by an event schema that has these fields.
///
/// The whole datum is always walked, so that after an invalid event the cursor stands at the next one.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, fields: Fields) -> Read<'a> {
    // The first broken rule is reported; a later field does not replace it.
    let mut broken: Result<(), EventError> = Ok(());
    let mut rule = |checked: Result<(), EventError>| {
        if broken.is_ok() {
            broken = checked;
        }
    };

    let event_id = EventId(*cursor.fixed()?);
    rule(check::event_id(event_id));
    let platform = cursor.string()?;
    rule(check::platform(platform));
    let kind = Kind::from_number(cursor.branch(Kind::ALL.len() as u8)?);
    let occurred_at = Timestamp(cursor.long()?);
    rule(check::occurred_at(occurred_at));

    let mut strongest: Option<HashRef<'a>> = None;
    let (content, checked) = read_hashes("content", cursor, |view| {
        if routes(view)
            && strongest.is_none_or(|best| (view.hash.algorithm, view.hash.value) < (best.algorithm, best.value))
        {
            strongest = Some(view.hash);
        }
    })?;
    rule(checked);
    let (same_as, checked) = read_hashes("same_as", cursor, |_| ())?;
    rule(checked);

    let account = cursor.present()?.then(|| cursor.fixed()).transpose()?;
    let account_epoch = cursor.long()?;
    let account_epoch = u32::try_from(account_epoch).unwrap_or_else(|_| {
        rule(Err(EventError::AccountEpochOutOfRange));
        0
    });
    let region = match cursor.present()? {
        false => None,
        true => check::region(cursor.string()?.as_bytes())
            .map_err(|error| rule(Err(error)))
            .ok(),
    };
    let language = match cursor.present()? {
        false => None,
        true => check::language(cursor.string()?.as_bytes())
            .map_err(|error| rule(Err(error)))
            .ok(),
    };
    let audience = match cursor.present()? {
        false => None,
        true => u32::try_from(cursor.long()?)
            .map_err(|_| rule(Err(EventError::AudienceOutOfRange)))
            .ok(),
    };
    let surface = Surface::from_number(cursor.branch(Surface::ALL.len() as u8)?);
    let (labels, checked) = read_labels(cursor)?;
    rule(checked);
    let sharing = Sharing::from_number(cursor.branch(3)?).ok_or(Malformed::NoSuchBranch)?;
    let frames = match fields {
        Fields::First => FrameList::default(),
        Fields::Newest => {
            let (frames, checked) = read_frames(cursor)?;
            rule(checked);
            frames
        }
    };
    if strongest.is_none() {
        rule(Err(EventError::NoRoutingHash));
    }

    let Some(strongest) = strongest else {
        return Ok(Err(broken.err().unwrap_or(EventError::NoRoutingHash)));
    };
    Ok(broken.map(|()| EventRef {
        event_id,
        platform,
        kind,
        occurred_at,
        content,
        strongest,
        same_as,
        frames,
        account: account.map(|bytes| AccountPseudonym(*bytes)),
        account_epoch,
        region,
        language,
        audience,
        surface,
        labels,
        sharing,
    }))
}

/// As [`ContentHash::routes`].
fn routes(view: HashView<'_>) -> bool {
    view.hash.algorithm != Algorithm::Pdq || view.quality.is_none_or(|quality| quality >= Algorithm::PDQ_QUALITY_MIN)
}

fn read_hashes<'a>(
    field: &'static str,
    cursor: &mut Cursor<'a>,
    mut found: impl FnMut(HashView<'a>),
) -> Result<(HashList<'a>, Result<(), EventError>), Malformed> {
    let bytes = cursor.rest();
    let mut walk = ArrayWalk::default();
    let mut items = 0;
    let mut length = 0;
    let mut checked = Ok(());
    while walk.step(cursor)? {
        items += 1;
        match read_hash(cursor)? {
            Ok(Some(view)) => {
                length += 1;
                found(view);
            }
            Ok(None) => {}
            Err(error) => checked = checked.and(Err(error)),
        }
    }
    let checked = check::list_length(field, items).and(checked);
    Ok((HashList { bytes, length }, checked))
}

/// One hash; `None` when its algorithm is one that this version does not know.
fn read_hash<'a>(cursor: &mut Cursor<'a>) -> Result<Result<Option<HashView<'a>>, EventError>, Malformed> {
    let number = cursor.branch(1 + Algorithm::ALL.len() as u8)?;
    let value = cursor.bytes()?;
    let quality = cursor.present()?.then(|| cursor.int()).transpose()?;
    let Some(algorithm) = Algorithm::from_number(number) else {
        return Ok(Ok(None));
    };
    let quality = match quality.map(u8::try_from).transpose() {
        Ok(quality) => quality,
        Err(_) => return Ok(Err(EventError::QualityOutOfRange)),
    };
    Ok(check::hash_value(algorithm, value, quality).map(|()| {
        Some(HashView {
            hash: HashRef { algorithm, value },
            quality,
        })
    }))
}

fn read_labels<'a>(cursor: &mut Cursor<'a>) -> Result<(LabelList<'a>, Result<(), EventError>), Malformed> {
    let bytes = cursor.rest();
    let mut walk = ArrayWalk::default();
    let mut length = 0;
    let mut checked = Ok(());
    while walk.step(cursor)? {
        length += 1;
        let name = cursor.string()?;
        let confidence = cursor.float()?;
        if checked.is_ok() {
            checked = check::label(name, confidence);
        }
    }
    let checked = check::list_length("labels", length).and(checked);
    Ok((LabelList { bytes, length }, checked))
}

fn read_frames<'a>(cursor: &mut Cursor<'a>) -> Result<(FrameList<'a>, Result<(), EventError>), Malformed> {
    let bytes = cursor.rest();
    let mut walk = ArrayWalk::default();
    let mut length = 0;
    let mut checked = Ok(());
    while walk.step(cursor)? {
        length += 1;
        if let Err(error) = read_frame(cursor)? {
            checked = checked.and(Err(error));
        }
    }
    let checked = check::frames_length(length).and(checked);
    Ok((FrameList { bytes, length }, checked))
}

fn read_frame(cursor: &mut Cursor<'_>) -> Result<Result<Frame, EventError>, Malformed> {
    let pdq = *cursor.fixed()?;
    let quality = cursor.int()?;
    Ok(check::frame_quality(i128::from(quality)).map(|quality| Frame { pdq, quality }))
}

impl<'a> HashList<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads them again from their bytes.
    pub fn iter(&self) -> impl Iterator<Item = HashView<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        let mut walk = ArrayWalk::default();
        std::iter::from_fn(move || {
            // The bytes were read once without an error; an error would end the list.
            while walk.step(&mut cursor).ok()? {
                if let Some(view) = read_hash(&mut cursor).ok()?.ok()? {
                    return Some(view);
                }
            }
            None
        })
    }
}

impl<'a> FrameList<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads them again from their bytes.
    pub fn iter(&self) -> impl Iterator<Item = Frame> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        let mut walk = ArrayWalk::default();
        let length = self.length;
        // As in the list of hashes. Without frames there are no bytes of a list either.
        (0..length).map_while(move |_| {
            if !walk.step(&mut cursor).ok()? {
                return None;
            }
            read_frame(&mut cursor).ok()?.ok()
        })
    }

    /// The vPDQ hash that names these frames in this order: SHA-256 (FIPS 180-4) of their PDQ hashes, one behind the other.
    pub fn digest(&self) -> ContentHash {
        let mut digest = Sha256::new();
        self.iter().for_each(|frame| digest.update(frame.pdq));
        ContentHash::from_bytes(Algorithm::Vpdq, digest.finalize().to_vec(), None).expect("a SHA-256 has 32 bytes")
    }
}

impl<'a> LabelList<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Names and confidences, read again from their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, f32)> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        let mut walk = ArrayWalk::default();
        std::iter::from_fn(move || {
            // As in the list of hashes.
            if !walk.step(&mut cursor).ok()? {
                return None;
            }
            Some((cursor.string().ok()?, cursor.float().ok()?))
        })
    }
}

impl HashView<'_> {
    /// An owned copy.
    pub fn to_hash(self) -> ContentHash {
        ContentHash::from_slice(self.hash.algorithm, self.hash.value, self.quality)
            .expect("a view is made of checked bytes only")
    }
}

impl EventRef<'_> {
    /// An owned copy.
    pub fn to_event(self) -> Event {
        Event {
            event_id: self.event_id,
            platform: self
                .platform
                .parse::<Name>()
                .expect("a view is made of checked names only"),
            kind: self.kind,
            occurred_at: self.occurred_at,
            content: self.content.iter().map(HashView::to_hash).collect(),
            same_as: self.same_as.iter().map(HashView::to_hash).collect(),
            frames: self.frames.iter().collect(),
            account: self.account,
            account_epoch: self.account_epoch,
            region: self.region,
            language: self.language,
            audience: self.audience,
            surface: self.surface,
            labels: self
                .labels
                .iter()
                .map(|(name, confidence)| Label {
                    name: name.to_owned(),
                    confidence,
                })
                .collect(),
            sharing: self.sharing,
        }
    }
}

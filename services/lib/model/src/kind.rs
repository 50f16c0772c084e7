/// What happened to a content. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A kind this version does not know: decoded, counted, never a spread.
    Unknown = 0,
    /// A copy was uploaded and is visible.
    Upload = 1,
    /// An upload was refused by the platform. Attempts count: most of Christchurch's were blocked.
    BlockedUpload = 2,
    /// An existing copy was passed on.
    Share = 3,
    /// A user reported it.
    Report = 4,
    /// A live stream began.
    LiveStart = 5,
    /// A live stream goes on; `audience` holds its concurrent viewers.
    LiveHeartbeat = 6,
    /// A live stream ended.
    LiveEnd = 7,
    /// A sample of views; `audience` holds the views since the last sample.
    ViewSample = 8,
    /// A government or trusted flagger referred it; starts a clock.
    Notice = 9,
    /// The platform took a copy down.
    Removal = 10,
    /// The platform put a copy back.
    Restore = 11,
    /// An uploader appealed.
    Appeal = 12,
}

impl Kind {
    /// All kinds in the order of their numbers.
    pub const ALL: [Kind; 13] = [
        Kind::Unknown,
        Kind::Upload,
        Kind::BlockedUpload,
        Kind::Share,
        Kind::Report,
        Kind::LiveStart,
        Kind::LiveHeartbeat,
        Kind::LiveEnd,
        Kind::ViewSample,
        Kind::Notice,
        Kind::Removal,
        Kind::Restore,
        Kind::Appeal,
    ];

    /// The kind with this number, `Unknown` when there is none.
    pub fn from_number(number: u8) -> Kind {
        Kind::ALL.get(usize::from(number)).copied().unwrap_or(Kind::Unknown)
    }

    /// The kind with this name of the schema, `Unknown` when there is none.
    pub fn from_name(name: &str) -> Kind {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or(Kind::Unknown)
    }

    /// The name in the schema, in topics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::Upload => "upload",
            Kind::BlockedUpload => "blocked_upload",
            Kind::Share => "share",
            Kind::Report => "report",
            Kind::LiveStart => "live_start",
            Kind::LiveHeartbeat => "live_heartbeat",
            Kind::LiveEnd => "live_end",
            Kind::ViewSample => "view_sample",
            Kind::Notice => "notice",
            Kind::Removal => "removal",
            Kind::Restore => "restore",
            Kind::Appeal => "appeal",
        }
    }

    /// Whether this is spread: an upload, a blocked upload or a share. Only these are in windows, totals and velocity.
    pub fn is_spread(self) -> bool {
        matches!(self, Kind::Upload | Kind::BlockedUpload | Kind::Share)
    }

    /// Whether this tells of a live stream: its start, a heartbeat or its end. None of these is spread.
    pub fn is_live(self) -> bool {
        matches!(self, Kind::LiveStart | Kind::LiveHeartbeat | Kind::LiveEnd)
    }
}

/// Where on the platform it was seen. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Surface {
    /// Not said, or a surface this version does not know.
    Unknown = 0,
    /// A feed of accounts that a person follows.
    Feed = 1,
    /// Chosen by the platform for the person.
    Recommendation = 2,
    /// Found by search.
    Search = 3,
    /// Reached by address or profile.
    Direct = 4,
    /// A live surface.
    Live = 5,
    /// A private or group message.
    Message = 6,
}

impl Surface {
    /// All surfaces in the order of their numbers.
    pub const ALL: [Surface; 7] = [
        Surface::Unknown,
        Surface::Feed,
        Surface::Recommendation,
        Surface::Search,
        Surface::Direct,
        Surface::Live,
        Surface::Message,
    ];

    /// The surface with this number, `Unknown` when there is none.
    pub fn from_number(number: u8) -> Surface {
        Surface::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Surface::Unknown)
    }

    /// The surface with this name of the schema, `Unknown` when there is none.
    pub fn from_name(name: &str) -> Surface {
        Surface::ALL
            .into_iter()
            .find(|surface| surface.name() == name)
            .unwrap_or(Surface::Unknown)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Surface::Unknown => "unknown",
            Surface::Feed => "feed",
            Surface::Recommendation => "recommendation",
            Surface::Search => "search",
            Surface::Direct => "direct",
            Surface::Live => "live",
            Surface::Message => "message",
        }
    }
}

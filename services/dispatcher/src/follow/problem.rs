/// Why a list could not be followed further. It is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// The file or variable that holds the credentials is not there, or holds something else.
    #[error("the credentials cannot be read")]
    CredentialsMissing,
    /// The server does not take the connection.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It took it and did not answer, or not to the end.
    #[error("the server did not answer in time")]
    TimedOut,
    /// It sends elsewhere.
    #[error("the server sends elsewhere")]
    Redirected,
    /// It wants to be asked later.
    #[error("the server wants to be asked later")]
    RateLimited,
    /// It does not take the credentials.
    #[error("the server refuses the credentials")]
    CredentialsRefused,
    /// It does not take the request.
    #[error("the server refuses the request")]
    RequestRefused,
    /// It failed.
    #[error("the server failed")]
    ServerFailed,
    /// The answer ended too early.
    #[error("the answer ended too early")]
    AnswerCut,
    /// The page is longer than is read.
    #[error("the page is too long")]
    PageTooLong,
    /// The page is no JSON.
    #[error("the page is no JSON")]
    PageNotJson,
    /// The page has another form.
    #[error("the page has another form than its kind has")]
    PageMalformed,
    /// The next page is said to be on another server.
    #[error("the next page is said to be on another server")]
    NextElsewhere,
    /// The next page is said to be the one that was read.
    #[error("the next page is said to be this one")]
    PagingStuck,
    /// There is always a next page.
    #[error("the list has more pages than a list has")]
    PagingEndless,
    /// It was not read for so long that its server has forgotten what was withdrawn meanwhile.
    #[error("the list was not followed for too long to go on")]
    CheckpointStale,
}

impl Problem {
    /// A stable name for metrics and the store.
    pub(super) fn code(self) -> &'static str {
        match self {
            Problem::CredentialsMissing => "credentials_missing",
            Problem::Unreachable => "unreachable",
            Problem::TimedOut => "timed_out",
            Problem::Redirected => "redirected",
            Problem::RateLimited => "rate_limited",
            Problem::CredentialsRefused => "credentials_refused",
            Problem::RequestRefused => "request_refused",
            Problem::ServerFailed => "server_failed",
            Problem::AnswerCut => "answer_cut",
            Problem::PageTooLong => "page_too_long",
            Problem::PageNotJson => "page_not_json",
            Problem::PageMalformed => "page_malformed",
            Problem::NextElsewhere => "next_elsewhere",
            Problem::PagingStuck => "paging_stuck",
            Problem::PagingEndless => "paging_endless",
            Problem::CheckpointStale => "checkpoint_stale",
        }
    }
}

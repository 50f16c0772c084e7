use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_model::{FamilyId, KeyId, Name, Timestamp};

use crate::event::Shown;
use crate::marking::{Marking, Reader};
use crate::parts::{Origin, ProtocolVersion, RingRule};

/// Who commands, and what they know of the incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// With which key.
    pub who: KeyId,
    /// For whom.
    pub team: Team,
    /// The sharing groups of the team.
    pub groups: BTreeSet<Name>,
    /// The version of the incident they saw, if they insist on it.
    pub version: Option<u64>,
}

/// What an incident is declared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What it is called.
    pub title: String,
    /// What from.
    pub origin: Origin,
    /// By which protocol it is handled.
    pub protocol: ProtocolVersion,
    /// How far it may go.
    pub marking: Marking,
}

/// What somebody does with an incident. All but the last five are for coordinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A family belongs to it.
    Attach {
        /// Which.
        family: FamilyId,
    },
    /// A family does not.
    Detach {
        /// Which.
        family: FamilyId,
        /// Why.
        reason: String,
    },
    /// Attach the families of such alerts from now on.
    AddRule(RingRule),
    /// No longer.
    RemoveRule {
        /// The number of the rule.
        number: u32,
        /// Why.
        reason: String,
    },
    /// Answer a question of the protocol.
    Answer {
        /// Which, by its name.
        question: String,
        /// Yes or no; `None`: it is open again.
        answer: Option<bool>,
        /// Why.
        reason: String,
    },
    /// Activate the protocol at a level.
    Activate {
        /// The level, by its name.
        level: String,
        /// Why.
        reason: String,
        /// What its criterion says.
        shown: Option<Shown>,
    },
    /// Go to another level, up or down.
    ChangeLevel {
        /// The level, by its name.
        level: String,
        /// Why.
        reason: String,
        /// What its criterion says.
        shown: Option<Shown>,
    },
    /// Say that it is over.
    Conclude {
        /// Why.
        reason: String,
        /// What the criterion of conclusion says.
        shown: Option<Shown>,
    },
    /// Say that it is not over after all.
    Reopen {
        /// Why.
        reason: String,
    },
    /// Invite a party.
    Invite {
        /// Who.
        team: Team,
        /// The sharing groups of that team: whom an incident may not go to is not invited.
        groups: BTreeSet<Name>,
        /// As what: a class of the protocol.
        class: String,
        /// What it is told; may be empty.
        message: String,
    },
    /// Remind a participant.
    Remind {
        /// Who.
        team: Team,
        /// What it is told; may be empty.
        message: String,
    },
    /// Give somebody something to do.
    AddTask {
        /// What.
        does: String,
        /// Whom: the coordinators or a participant.
        owner: Team,
        /// Until when.
        due: Timestamp,
    },
    /// Change how far the incident may go.
    Mark {
        /// How far.
        marking: Marking,
        /// Why.
        reason: String,
    },
    /// Give out the hashes of the incident's families.
    MakePack {
        /// How many there are.
        hashes: u32,
    },
    /// Say that a pack is no longer good.
    WithdrawPack {
        /// Its version.
        number: u32,
        /// Why.
        reason: String,
    },
    /// Say, as an invited party, that one takes part.
    Acknowledge,
    /// Leave, as a participant.
    Leave {
        /// Why.
        reason: String,
    },
    /// Say that a task is done, as its owner or a coordinator.
    FinishTask {
        /// Its number.
        number: u32,
        /// What was done; may be empty.
        note: String,
    },
    /// Say that one's own part of a task is done, as a participant of a class that has one.
    FinishPart {
        /// Its number.
        number: u32,
        /// What was done; may be empty.
        note: String,
    },
    /// Write something down, as a coordinator or a participant.
    Note {
        /// What.
        text: String,
        /// How far it may go.
        marking: Marking,
    },
}

impl By {
    /// The same one as a reader.
    pub fn reader(&self) -> Reader {
        Reader {
            key: self.who,
            team: Some(self.team),
            groups: self.groups.clone(),
        }
    }
}

/// Declares every refusal once: variant, code, and what it says.
macro_rules! refusals {
    ($($variant:ident $code:literal $says:literal;)*) => {
        /// Why a command on an incident is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $(#[doc = $says] #[error($says)] $variant,)*
        }

        impl Refusal {
            /// All refusals.
            pub const ALL: &[Refusal] = &[$(Refusal::$variant),*];

            /// A stable name for problem documents and metrics.
            pub fn code(self) -> &'static str {
                match self { $(Refusal::$variant => $code,)* }
            }

            /// In words.
            pub fn says(self) -> &'static str {
                match self { $(Refusal::$variant => $says,)* }
            }
        }
    };
}

refusals! {
    NoSuchIncident "incident_unknown" "There is no such incident, or it is not shared with you";
    CoordinatorsOnly "incident_coordinators_only" "Only coordinators do this with an incident";
    NotTakingPart "incident_not_taking_part" "Only coordinators and participants do this with an incident";
    VersionStale "incident_version_stale" "The incident changed since the version you saw";
    Concluded "incident_concluded" "The incident is concluded; reopen it first";
    NotConcluded "incident_not_concluded" "The incident is not concluded";
    NotActive "incident_not_active" "No level of the incident's protocol was activated yet";
    ActiveAlready "incident_active_already" "The incident's protocol is activated already; change its level";
    NoSuchProtocol "protocol_unknown" "There is no such protocol";
    TooManyIncidents "incidents_open_max" "At most 64 incidents are open at once; conclude one first";
    NoSuchOrigin "origin_unknown" "There is no such alert or case of the coordinators";
    NoSuchLevel "level_unknown" "The incident's protocol has no such level";
    SameLevel "level_same" "The incident is at this level already";
    NoSuchQuestion "question_unknown" "The incident's protocol has no such question";
    NoSuchClass "class_unknown" "The incident's protocol has no such class of participants";
    TitleMalformed "title_malformed" "A title has 1 to 256 bytes and no control character";
    ReasonMalformed "reason_malformed" "A reason has 1 to 2,048 bytes and no NUL character";
    TextMalformed "text_malformed" "A message or note to an act has at most 2,048 bytes and no NUL character";
    NoteTextMalformed "note_text_malformed" "A note has 1 to 8,192 bytes and no NUL character";
    MarkingMalformed "marking_malformed" "A group goes with AMBER, 1 to 64 recipients with RED, and an incident is never RED";
    NoSuchGroup "sharing_group_unknown" "There is no such sharing group, or you are not in it";
    FamilyAttached "family_attached" "The family belongs to the incident already";
    FamilyNotAttached "family_not_attached" "The family does not belong to the incident";
    TooManyFamilies "incident_families_max" "An incident has at most 64 families";
    RuleMalformed "rule_malformed" "A rule names 1 to 4 different reasons";
    NoSuchRule "rule_unknown" "The incident has no such rule";
    TooManyRules "incident_rules_max" "An incident has at most 16 rules";
    NotAParty "participant_not_a_party" "Coordinators take part anyway; parties are invited";
    NotAdmitted "participant_not_admitted" "The incident's marking does not let it go to this party";
    InvitedAlready "participant_invited_already" "The party was invited already";
    NotInvited "participant_not_invited" "The party does not take part";
    AcknowledgedAlready "participant_acknowledged_already" "You acknowledged already";
    RemindedJustNow "participant_reminded_just_now" "The party was invited or reminded less than 5 minutes ago";
    TooManyParticipants "incident_participants_max" "An incident has at most 64 participants";
    NoSuchTask "task_unknown" "The incident has no such task";
    NotYourTask "task_not_yours" "The task is another's, and you have no part in it";
    TaskDone "task_done_already" "The task, or your part of it, is done already";
    TaskDue "task_due" "A task is due in the future, within 90 days";
    TooManyTasks "incident_tasks_max" "An incident has at most 256 tasks beside its protocol's steps";
    PackEmpty "pack_empty" "Nothing of the incident's families is hot, so no hash of them is known here";
    PackTooLarge "pack_too_large" "A pack has at most 10,000 hashes";
    NoSuchPack "pack_unknown" "The incident has no such pack";
    PackWithdrawn "pack_withdrawn" "The pack was withdrawn";
    TooManyPacks "incident_packs_max" "An incident has at most 256 packs";
    TooManyNotes "incident_notes_max" "An incident has at most 4,096 notes";
}

//! What the figures of the transparency report mean.

use crate::figure::Definition;

pub(super) const CASES: [Definition; 7] = [
    Definition {
        name: "opened",
        counts: "cases that were opened on these days, by what the content is; cases that went into others are left out",
        from: "the team's cases; the content by the family's strongest hash (pdq: picture, vpdq: video, url: address, sha256 and md5: file), and whether a member is a live stream",
        bound: "exact as the store says; a picture or video of which only file hashes were sent is a file",
        unit: "cases",
    },
    Definition {
        name: "merged",
        counts: "cases that were opened on these days and went into another one by their end",
        from: "the team's cases",
        bound: "those that parted from the other one since are not among them",
        unit: "cases",
    },
    Definition {
        name: "decided",
        counts: "cases of `opened` that had a decision at the end of the days, by the verdict that a person made last; decisions that were taken back before they went out are none",
        from: "the team's cases and decisions",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "undecided",
        counts: "cases of `opened` without a decision at the end of the days",
        from: "the team's cases and decisions",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "closed_unreviewed",
        counts: "cases of `undecided` that were closed at the end because the spread had subsided with little left to prevent",
        from: "the team's cases, and the time of their last alert",
        bound: "the upper number has those in it that came back or were decided since, of which it is not kept whether they were closed",
        unit: "cases",
    },
    Definition {
        name: "false_alarms",
        counts: "cases of `opened` that rang and that people found benign by the end of the days",
        from: "the team's cases and decisions",
        bound: "the upper number has those in it that were not decided, disputed or given to an expert: some of them may be benign. Newsworthy is no false alarm",
        unit: "cases",
    },
    Definition {
        name: "alarms",
        counts: "cases of `opened` that rang by the end of the days",
        from: "the team's cases",
        bound: "exact as the store says",
        unit: "cases",
    },
];

pub(super) const DECISIONS: [Definition; 3] = [
    Definition {
        name: "decisions",
        counts: "decisions that people made on these days, by verdict and recommended action; a case that is decided again has several. Marks of the machine, where families with contrary decisions become one, are none",
        from: "the team's decisions that were not taken back before they went out",
        bound: "decisions about cases that went into another by the end are not among them, but for those that were carried into it",
        unit: "decisions",
    },
    Definition {
        name: "labelled",
        counts: "the same decisions, by the rule that the decision names as its policy, what the content is, and the verdict",
        from: "the team's decisions that were not taken back before they went out",
        bound: "the first 200 policies by their bytes are told one by one, what names others as `labels` `others`, and what names none as `labels` `none named`",
        unit: "decisions",
    },
    Definition {
        name: "other_labels",
        counts: "contents by the labels that the platforms' own classifications give them, other than `tvec`",
        from: "nothing that is kept",
        bound: "not known. Of contents whose removal is confirmed a party's report tells whether its platforms label them `tvec`: `platform_labels`",
        unit: "contents",
    },
];

pub(super) const FROM_EVENTS: &str = "the platforms' events about members of decided families within a week after the decision, as the detector counts them";

const FROM_VIEW_SAMPLES: &str =
    "the views that the platform's view samples told of, as the detector counts them, and the times of its removals";
const VIEWS_BOUND: &str = "views that samples told of: what was seen before the content was counted exactly, after the last sample, or where the platform takes none is not among them, so there were at \
     least as many. The upper number has samples that may have come after the removal: times are known to 5 seconds, and what samples tell is read about twice a second";

/// Also what the report on terrorist content says.
pub(crate) const MEMBERS_REMOVED: Definition = Definition {
    name: "members_removed",
    counts: "contents, each on each platform, of which the platform's events say that it removed all known copies after a decision that recommends so: each once, however often it was decided",
    from: FROM_EVENTS,
    bound: "by the time of the last confirmation, which alone is kept: the upper number has what was confirmed again later, or is no more because copies came. What an appeal took \
            out of a decision is not among them, also if that was after the last day, nor what was neither hot nor among the latest 4,096 decisions that are followed",
    unit: "contents on a platform",
};

/// Also what the report on terrorist content says.
pub(crate) const RETURNED: Definition = Definition {
    name: "returned",
    counts: "copies that were posted after the removal of their content was confirmed, of the contents of `members_removed`",
    from: FROM_EVENTS,
    bound: "all that are known by now, also of after the last day; the lower number has those of the lower number of `members_removed`, the upper those of the upper; blocked uploads are none",
    unit: "copies",
};

/// Also what the report on terrorist content says.
pub(crate) const RECOMMENDED_AGAIN: Definition = Definition {
    name: "recommended_again",
    counts: "contents, each on each platform and under each decision, that came again and whose removal was recommended again without a person, as the party chose",
    from: "the deliveries that were made for it",
    bound: "at most once in 10 minutes; the last time alone is kept: the upper number has those for which it was after the last day",
    unit: "contents on a platform",
};

pub(super) const REMOVALS: [Definition; 13] = [
    MEMBERS_REMOVED,
    Definition {
        name: "platform_labels",
        counts: "contents of the lower number of `members_removed`, by what they are, and by whether the platform's own events label a copy of them `tvec`, terrorist or violent extremist content, up to \
                 the confirmation; what they label otherwise, or not, is `labels` `none`",
        from: FROM_EVENTS,
        bound: "labels of a confidence above 0, on copies since the content was counted exactly: what was labelled before alone is among `none`. `labels` `not_known` is what was confirmed before labels were \
                kept, or counted anew since",
        unit: "contents on a platform",
    },
    Definition {
        name: "removals",
        counts: "removals that the platform's events tell of the contents of the lower number of `members_removed`, up to the confirmation",
        from: FROM_EVENTS,
        bound: "since the content was counted exactly; one event may stand for all copies",
        unit: "removals",
    },
    Definition {
        name: "copies_before_removal",
        counts: "contents of the lower number of `members_removed`, by how many copies of them were posted on the platform before",
        from: FROM_EVENTS,
        bound: "copies since the content was counted exactly, or anew; 0 is what was counted anew after a confirmation of before such counts were kept apart",
        unit: "contents on a platform",
    },
    Definition {
        name: "copies_before_removal_at_rank",
        counts: "how many copies were posted before the removal was confirmed: median and ninth decile of the same contents",
        from: FROM_EVENTS,
        bound: "the exact quantile lies between the two numbers",
        unit: "copies",
    },
    Definition {
        name: "views_not_told",
        counts: "contents of the lower number of `members_removed` of which no view sample told how often they were seen before",
        from: FROM_EVENTS,
        bound: "also those whose removal was confirmed before views were kept, and of which no sample was told since they were counted anew. How often they were seen is not known, and is not 0",
        unit: "contents on a platform",
    },
    Definition {
        name: "views_before_removal",
        counts: "contents of the lower number of `members_removed` without those of `views_not_told`, by how often their copies were seen on the platform until the removal that was confirmed last",
        from: FROM_VIEW_SAMPLES,
        bound: VIEWS_BOUND,
        unit: "contents on a platform",
    },
    Definition {
        name: "views_before_removal_at_rank",
        counts: "how often the copies of each of the same contents were seen until then: median and ninth decile of the contents",
        from: FROM_VIEW_SAMPLES,
        bound: VIEWS_BOUND,
        unit: "views",
    },
    Definition {
        name: "views_before_removal_in_all",
        counts: "how often the copies of the same contents were seen until then, all together",
        from: FROM_VIEW_SAMPLES,
        bound: VIEWS_BOUND,
        unit: "views",
    },
    RETURNED,
    RECOMMENDED_AGAIN,
    Definition {
        name: "never_confirmed",
        counts: "contents, each on each platform, of decisions that went out on these days and recommend removal, whose removal was not confirmed by their end; of what was decided again on these days, by the later decision",
        from: FROM_EVENTS,
        bound: "the upper number has those of which copies came after a confirmation: whether that was by the end is not kept",
        unit: "contents on a platform",
    },
    Definition {
        name: "members_restored",
        counts: "contents, each on each platform, of which the platform's events say that what was removed was restored after a decision was reversed",
        from: FROM_EVENTS,
        bound: "by the time of the last confirmation, which alone is kept: the upper number has those of which more was removed after one",
        unit: "contents on a platform",
    },
];

pub(super) const TIMES: [Definition; 5] = [
    Definition {
        name: "measured",
        counts: "cases of `opened` of which it is known, by the end of the days, when the family was first seen and when the step was: on a platform, or without one anywhere that the team sees. In the coordinators' report only platforms are named whose parties agreed",
        from: "the clocks of the cases",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "took",
        counts: "from the first sighting to the step, of the cases of `measured`: median and ninth decile. What would have taken less than nothing took nothing",
        from: "the clocks of the cases: of a case that came back the first time counts",
        bound: "the exact quantile lies between the two numbers; what platforms tell of is known to 5 seconds, and what is older than an hour when it is told to a minute or 15",
        unit: "seconds",
    },
    Definition {
        name: "decided_in_golden_hour",
        counts: "cases of `opened` that were decided within 60 minutes of the first sighting",
        from: "the clocks of the cases",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "removed_in_golden_hour",
        counts: "cases of `opened` of which a copy was removed on the platform within 60 minutes of the first sighting there",
        from: "the clocks of the cases",
        bound: "to 5 seconds",
        unit: "cases",
    },
    Definition {
        name: "leaked",
        counts: "cases of `opened` of which a copy was posted on the platform after the team had first told others of it, by an opinion, an incident or a pack",
        from: "the clocks of the cases: what platforms' events show within seven days of the telling, and what people told",
        bound: "a copy of the same five seconds as the telling is not among them, nor one of a family whose figures were not kept",
        unit: "cases",
    },
];

/// Also what the report on terrorist content says.
pub(crate) const NOT_CARRIED_OUT_BOUND: &str = "by the last suspension: one that ended before the last day was over is not kept. The upper number has, under every ground, those whose time ran anew after that day: \
     whether it was suspended at its end, and why, is not kept";

pub(super) const NOTICES: [Definition; 5] = [
    Definition {
        name: "notices",
        counts: "notices that were received on these days, by kind and by what was answered by their end; each content that a notice names is one. A threat to life is what the team told an authority of",
        from: "the notices that were filed for the team",
        bound: "by the time of receipt that was filed; what nobody filed is not among them",
        unit: "notices",
    },
    Definition {
        name: "notices_by_authority",
        counts: "the same, by who sent them, as it was filed",
        from: "the notices that were filed for the team",
        bound: "the first 200 names by their bytes are told one by one, the others as `authorities` `others`; two spellings are two names",
        unit: "notices",
    },
    Definition {
        name: "due",
        counts: "the same, of those whose time ran: `in_time` if answered until they were due, `late` if later, or not by the end of the days",
        from: "the notices that were filed for the team; an order is due an hour after its receipt",
        bound: "those whose time was suspended at the end, as far as it still is and was not over before, and those not due yet, are not among them. A time that ran anew counts by its last end; where it \
                ran anew after the last day, the upper number has it",
        unit: "notices",
    },
    Definition {
        name: "orders_not_carried_out",
        counts: "removal orders received on these days that were neither carried out nor withdrawn by their end while their time was suspended, by the ground: impossible (Regulation (EU) 2021/784, Art. 3(7)), \
                 manifest errors or insufficient information (Art. 3(8))",
        from: "the notices that were filed for the team",
        bound: NOT_CARRIED_OUT_BOUND,
        unit: "notices",
    },
    Definition {
        name: "took_to_answer",
        counts: "from the receipt to the answer, of those that were answered: median and ninth decile",
        from: "the notices that were filed for the team",
        bound: "the exact quantile lies between the two numbers; suspended time counts too",
        unit: "seconds",
    },
];

pub(super) const FILED_APPEALS: &str = "the appeals that were filed with the team";

pub(super) const APPEALS: [Definition; 6] = [
    Definition {
        name: "filed",
        counts: "appeals that were filed on these days, by whether they are against a decision or a refused upload",
        from: FILED_APPEALS,
        bound: "what platforms did not pass on is not among them",
        unit: "appeals",
    },
    Definition {
        name: "answered",
        counts: "appeals that were answered on these days, whenever they were filed, by outcome and by how far that goes",
        from: FILED_APPEALS,
        bound: "exact as the store says; appeals about a family that is overturned are answered with it, each of them",
        unit: "appeals",
    },
    Definition {
        name: "overturned",
        counts: "those of `answered` that were right: what was decided or refused was wrong",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "causes",
        counts: "the same, by the evidence by which it was caught, as the reviewer says",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "open",
        counts: "appeals that were filed by the end of the days and not answered by then",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "took_to_answer",
        counts: "from the filing to the answer, of `answered`: median and ninth decile",
        from: FILED_APPEALS,
        bound: "the exact quantile lies between the two numbers",
        unit: "seconds",
    },
];

pub(super) const INCIDENTS: &str = "the incidents that coordinators declared on these days";

pub(super) const PARTICIPATION: [Definition; 4] = [
    Definition {
        name: "invited",
        counts: "incidents to which the party was invited. In the coordinators' report only parties are named that agreed to be, and nothing is told of others",
        from: INCIDENTS,
        bound: "the last invitation alone is kept: the upper number has those to which the party was invited again, or first, after the last day",
        unit: "incidents",
    },
    Definition {
        name: "acknowledged",
        counts: "those of `invited` of which the party said by the end of the days that it takes part",
        from: INCIDENTS,
        bound: "exact as the store says",
        unit: "incidents",
    },
    Definition {
        name: "took_to_acknowledge",
        counts: "from the invitation to that: median and ninth decile",
        from: INCIDENTS,
        bound: "the exact quantile lies between the two numbers; of a party that was invited again after it left, from the last invitation, which may be nothing",
        unit: "seconds",
    },
    Definition {
        name: "parts",
        counts: "parts in tasks that were given to it, by whether they were done until they were due, later, not by the end of the days, or were not due by then",
        from: INCIDENTS,
        bound: "as the party itself said that they were done. What was given after it left is not among them; of a party that was invited again, what was given before counts from the last invitation on",
        unit: "parts",
    },
];

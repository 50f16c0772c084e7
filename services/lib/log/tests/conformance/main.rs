//! One suite for both logs: what the seam promises, each case run against the embedded log, against Apache Kafka, and inside namespaces of them.
//!
//! The Kafka half needs the bootstrap servers of a test cluster (`deploy/kafka/start --test`) in `TOCSIN_TEST_KAFKA`; without it the cases
//! say that they are skipped.
#![allow(clippy::unwrap_used)]

mod cases;
mod kafka_only;
mod namespace;
mod site;

macro_rules! in_namespaces {
    ($($case:ident),* $(,)?) => {
        mod kafka_namespace {
            $(#[test] fn $case() {
                if let Some(mut site) = super::site::Site::kafka_namespace() { super::cases::$case(&mut site); }
            })*
        }
    };
}

macro_rules! both_logs {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $case() { super::cases::$case(&mut super::site::Site::embedded()); })*
        }
        mod embedded_namespace {
            $(#[test] fn $case() { super::cases::$case(&mut super::site::Site::embedded_namespace()); })*
        }
        mod kafka {
            $(#[test] fn $case() {
                if let Some(mut site) = super::site::Site::kafka() { super::cases::$case(&mut site); }
            })*
        }
    };
}

both_logs!(
    appends_keep_their_order_and_tell_their_offsets,
    headers_keys_and_missing_values_come_back,
    a_unit_is_applied_whole_or_not_at_all,
    a_refused_unit_can_be_tried_again_and_is_applied_once,
    positions_are_kept_per_group,
    nothing_is_read_before_begin_and_begin_states_where,
    pause_stops_the_flow_and_resume_loses_nothing,
    a_flood_in_one_topic_keeps_no_other_waiting,
    a_prefix_takes_in_topics_that_appear_later,
    the_newest_of_each_key_is_always_readable,
    a_tail_reader_gets_over_gaps_to_the_end,
    a_tail_reader_waits_for_what_comes,
    reading_through_ends_at_the_end_that_was_asked_for,
    bounds_move_with_the_appends,
    a_time_leads_to_the_first_record_that_is_not_older,
    one_poll_brings_no_more_bytes_than_its_limit,
    what_a_topic_does_not_allow_is_refused,
    a_gapless_appender_appends_nothing_behind_a_failure,
    two_readers_see_the_same,
    append_stamps_never_go_back,
    a_newer_committer_fences_the_older,
    positions_need_membership,
    a_log_closed_and_opened_again_is_the_same,
    topics_have_an_identity_and_a_shape,
    many_threads_append_at_once,
    a_deleted_topic_leaves_nothing_to_its_successor,
);

// Of each part of the seam a case: the embedded log has run them all in a namespace.
in_namespaces!(
    a_unit_is_applied_whole_or_not_at_all,
    positions_are_kept_per_group,
    a_prefix_takes_in_topics_that_appear_later,
    a_tail_reader_gets_over_gaps_to_the_end,
    a_newer_committer_fences_the_older,
    a_deleted_topic_leaves_nothing_to_its_successor,
);

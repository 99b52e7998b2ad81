//! What every back-end of the store must do. Each case runs against SQLite and against PostgreSQL.

#[path = "cases"]
mod cases {
    pub mod auditing;
    pub mod folding;
    pub mod hub;
    pub mod members;
    pub mod moderation;
    pub mod paging;
    pub mod retaining;
    pub mod taking;
}
mod support;

/// Makes two tests of each case, one for each back-end.
macro_rules! contract {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        mod on_sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::support::with_sqlite(crate::cases::$module::$case).await;
                })+
            })+
        }
        mod on_postgres {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::support::with_postgres(crate::cases::$module::$case).await;
                })+
            })+
        }
    };
}

contract! {
    auditing:
        an_act_is_kept_as_it_was_with_all_that_is_known_of_it,
        acts_are_found_by_whom_what_where_and_since_when_page_by_page,
        what_is_old_or_too_much_of_the_audit_log_goes;
    paging:
        pages_follow_one_another_both_ways,
        a_reader_never_passes_a_hole,
        holes_filled_late_and_in_several_batches_are_passed_at_once,
        no_page_spans_epochs_and_next_leads_on,
        an_epoch_with_a_successor_is_read_past_what_was_lost_with_it,
        what_was_lost_is_passed_once_everything_before_an_epoch_is_known_to_be_stored,
        a_topic_is_read_up_to_its_ends_only_with_every_partition,
        an_epoch_whose_first_place_was_lost_is_read_all_the_same,
        an_unreadable_record_keeps_its_place,
        a_missing_place_is_shown_and_once_closed_is_passed_and_its_late_record_is_served,
        only_places_that_are_missing_long_enough_are_closed,
        a_readable_copy_takes_the_place_of_an_unreadable_one,
        rooms_do_not_see_one_another,
        a_room_that_nobody_knows_has_nothing,
        bodies_come_back_byte_for_byte,
        a_page_of_nothing_still_says_where_to_go,
        a_page_ends_where_its_bytes_are_spent_and_the_next_one_goes_on;
    retaining:
        what_is_too_old_goes_with_all_it_added_up_to_and_pages_end_where_it_was,
        an_epoch_that_is_over_goes_whole_before_the_next_one_and_offsets_go_on,
        a_replay_of_what_was_removed_stores_nothing,
        words_about_a_message_that_is_gone_go_with_their_own_age,
        a_young_event_keeps_what_comes_after_it,
        rooms_keep_as_long_as_each_is_told_to,
        what_moderators_are_done_with_goes_and_what_waits_stays;
    taking:
        a_copy_of_a_record_changes_nothing,
        a_known_key_keeps_its_place_and_both_ids_lead_to_the_message,
        the_same_key_with_another_draft_is_a_message_of_its_own,
        a_known_id_in_a_new_generation_keeps_both_places,
        duplicates_inside_one_batch_are_found,
        a_replaced_writer_writes_nothing,
        two_writers_with_one_expectation_cannot_both_write,
        positions_move_with_their_batch,
        a_batch_that_fails_leaves_nothing,
        what_no_column_can_hold_is_named_and_its_neighbours_are_stored,
        keys_are_remembered,
        large_batches_are_whole,
        what_is_known_by_a_row_that_does_not_stand_is_no_news,
        one_known_message_spoils_none_of_its_batch,
        a_batch_given_up_on_its_way_leaves_nothing_and_is_in_nobodys_way;
    folding:
        an_edit_waits_for_its_message,
        the_newest_edit_counts_however_they_come,
        an_edit_older_than_its_message_counts,
        a_delete_blanks_the_message_and_its_edits_everywhere,
        an_edit_after_the_delete_brings_nothing_back,
        a_delete_waits_for_its_message,
        a_delete_blanks_duplicates_and_edits_of_them,
        a_delete_with_a_used_key_still_deletes,
        a_retried_edit_does_not_undo_a_newer_one,
        edits_and_reactions_of_a_duplicate_belong_to_the_message,
        the_last_word_on_a_reaction_counts_however_they_come,
        reactions_are_listed_in_the_order_they_were_given,
        annotations_belong_to_the_body;
    hub:
        a_held_event_is_decided_once,
        held_events_are_listed_by_state,
        decisions_are_found_by_their_time_with_their_reason,
        only_a_denial_can_be_overruled,
        a_held_event_comes_back_as_it_was,
        a_sender_has_so_many_held_events_and_others_have_their_own,
        the_words_of_a_held_event_go_when_what_it_was_published_as_is_deleted,
        a_draft_is_held_once_whichever_hub_holds_it,
        generations_count_up,
        the_newest_epoch_and_the_mark_are_known,
        the_highest_place_is_known_past_holes,
        migrating_again_changes_nothing;
    members:
        a_room_is_made_once_and_its_first_member_owns_it,
        a_member_added_again_keeps_their_role_and_changes_nothing,
        nobody_is_added_to_a_room_that_is_not_there,
        a_full_room_takes_somebody_when_somebody_left,
        of_many_who_are_added_at_once_no_more_than_fit_are,
        the_last_owner_neither_leaves_nor_becomes_less,
        of_two_last_owners_who_leave_at_once_one_remains,
        a_removal_is_news_and_gives_no_right,
        members_and_rooms_are_listed_page_by_page,
        each_version_of_members_has_a_mark_of_its_own_until_it_is_forgotten,
        a_room_is_made_with_its_members_and_called_what_people_call_it,
        whoever_asks_needs_their_role_while_it_is_done_and_touches_nobody_above;
    moderation:
        a_mute_is_read_by_its_version_and_ends_by_itself,
        a_plugin_lengthens_a_mute_and_only_a_moderator_shortens_it,
        mutes_and_bans_at_once_are_all_seen_in_the_order_of_their_versions,
        a_lifted_mute_is_news,
        each_version_has_a_mark_of_its_own,
        a_ban_is_of_one_room_or_of_all_and_lasts_for_good_unless_it_has_an_end,
        what_was_revoked_stays_so_and_is_news_among_the_others,
        flags_are_listed_until_they_are_closed,
        what_is_old_is_forgotten,
        flags_of_one_sender_make_none_of_anothers_go;
}

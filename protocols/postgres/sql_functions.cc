// The list of PostgreSQL's functions with a nature of their own, and of its common ones without.
//
// Source: pg_proc of PostgreSQL 15 and 18, "System Administration Functions", "System Information
// Functions", "Date/Time Functions" and "Sequence Manipulation Functions" of their manual.
#include "protocols/postgres/sql_functions.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/words.h"

namespace crossfade::postgres {
namespace {

struct Entry {
  FunctionNature nature;
  const char* names;  // separated by blanks
};

constexpr Entry kNatures[] = {
    {FunctionNature::Clock,
     "now transaction_timestamp statement_timestamp clock_timestamp timeofday age"},
    // The names of uuid-ossp and pgcrypto count where the extension made them.
    {FunctionNature::Chance,
     "random random_normal gen_random_uuid uuidv4 uuidv7 pg_sleep pg_sleep_for pg_sleep_until "
     "uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt "
     "pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea"},
    {FunctionNature::Sided,
     "currval lastval version inet_client_addr inet_client_port inet_server_addr "
     "inet_server_port pg_backend_pid pg_blocking_pids pg_safe_snapshot_blocking_pids "
     "pg_conf_load_time pg_postmaster_start_time pg_is_in_recovery pg_is_wal_replay_paused "
     "pg_get_wal_replay_pause_state pg_current_logfile pg_my_temp_schema pg_is_other_temp_schema "
     "pg_listening_channels pg_notification_queue_usage pg_jit_available pg_trigger_depth "
     "pg_cursor pg_prepared_statement pg_prepared_xact pg_lock_status pg_timezone_names "
     "pg_timezone_abbrevs pg_show_all_settings pg_hba_file_rules pg_ident_file_mappings "
     "pg_show_all_file_settings pg_config pg_stat_file pg_partition_tree pg_partition_ancestors "
     "pg_partition_root pg_database_size pg_tablespace_size pg_relation_size pg_table_size "
     "pg_indexes_size pg_total_relation_size pg_column_size pg_column_compression "
     "pg_relation_filenode pg_relation_filepath pg_filenode_relation pg_sequence_last_value "
     "pg_get_sequence_data pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn "
     "pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp "
     "pg_last_committed_xact pg_xact_commit_timestamp pg_xact_commit_timestamp_origin "
     "pg_xact_status txid_status pg_current_xact_id pg_current_xact_id_if_assigned "
     "pg_current_snapshot txid_current txid_current_if_assigned txid_current_snapshot "
     "pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system "
     "pg_database_collation_actual_version pg_collation_actual_version "
     "pg_get_multixact_members pg_stat_have_stats mxid_age pg_event_trigger_ddl_commands "
     "pg_event_trigger_dropped_objects pg_replication_origin_oid "
     "pg_replication_origin_progress pg_show_replication_origin_status "
     // They take OIDs, or tell them.
     "pg_get_functiondef pg_get_function_arguments pg_get_function_identity_arguments "
     "pg_get_function_result pg_get_function_arg_default pg_get_function_sqlbody pg_get_viewdef "
     "pg_get_indexdef pg_get_constraintdef pg_get_triggerdef pg_get_ruledef pg_get_expr "
     "pg_get_partkeydef pg_get_partition_constraintdef pg_get_statisticsobjdef "
     "pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_userbyid "
     "pg_get_object_address format_type obj_description col_description shobj_description "
     "pg_describe_object pg_identify_object pg_identify_object_as_address pg_table_is_visible "
     "pg_type_is_visible pg_function_is_visible pg_operator_is_visible pg_opclass_is_visible "
     "pg_opfamily_is_visible pg_conversion_is_visible pg_collation_is_visible "
     "pg_statistics_obj_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible "
     "pg_ts_parser_is_visible pg_ts_template_is_visible to_regclass to_regcollation "
     "to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype "
     "to_regtypemod"},
    {FunctionNature::Sequence, "nextval setval"},
    {FunctionNature::Notifies, "pg_notify"},
    {FunctionNature::Settings, "set_config"},
    {FunctionNature::Seed, "setseed"},
    {FunctionNature::Opaque,
     "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml "
     "cursor_to_xmlschema table_to_xml table_to_xmlschema table_to_xml_and_xmlschema "
     "schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml "
     "database_to_xmlschema database_to_xml_and_xmlschema ts_stat ts_rewrite"},
    {FunctionNature::LockSession,
     "pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared"},
    {FunctionNature::LockTransaction,
     "pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock "
     "pg_try_advisory_xact_lock_shared"},
    {FunctionNature::Unlock, "pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all"},
};

// Hang on their arguments alone, or on the session's settings, which are the same on both sides.
constexpr const char* kPlain =
    "abs ceil ceiling floor round trunc sqrt power exp ln log mod sign div pi greatest least "
    "length char_length character_length octet_length bit_length lower upper initcap substr "
    "substring position strpos overlay btrim ltrim rtrim lpad rpad replace translate reverse "
    "repeat split_part left right concat concat_ws format md5 sha224 sha256 sha384 sha512 encode "
    "decode chr ascii to_hex quote_ident quote_literal quote_nullable starts_with "
    "regexp_replace regexp_match regexp_matches regexp_split_to_array regexp_split_to_table "
    "like_escape similar_to_escape normalize is_normalized to_char to_date to_number "
    "to_timestamp date_trunc date_part extract timezone make_date make_time make_timestamp "
    "make_timestamptz make_interval justify_days justify_hours justify_interval isfinite "
    "overlaps count sum avg min max stddev variance string_agg array_agg json_agg jsonb_agg "
    "json_object_agg jsonb_object_agg bool_and bool_or every bit_and bit_or row_number rank "
    "dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value "
    "percentile_cont percentile_disc mode array_length array_upper array_lower array_ndims "
    "array_dims array_position array_positions array_append array_prepend array_cat "
    "array_remove array_replace array_to_string string_to_array unnest cardinality "
    "generate_series generate_subscripts to_json to_jsonb row_to_json array_to_json "
    "json_build_object jsonb_build_object json_build_array jsonb_build_array json_array_length "
    "jsonb_array_length json_array_elements jsonb_array_elements json_array_elements_text "
    "jsonb_array_elements_text json_each jsonb_each json_each_text jsonb_each_text "
    "json_extract_path jsonb_extract_path jsonb_set jsonb_insert jsonb_strip_nulls "
    "jsonb_path_query jsonb_path_exists to_tsvector to_tsquery plainto_tsquery "
    "websearch_to_tsquery ts_rank ts_headline current_setting current_database current_schema "
    "current_schemas current_user session_user pg_client_encoding pg_typeof coalesce nullif";

constexpr const char* kOrdered =
    "string_agg array_agg json_agg json_agg_strict jsonb_agg jsonb_agg_strict json_object_agg "
    "json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict "
    "jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique "
    "jsonb_object_agg_unique_strict xmlagg any_value row_number ntile lag lead first_value "
    "last_value nth_value";

constexpr const char* kOperators =
    "= <> != < > <= >= + - * / % ^ || ~ !~ ~* !~* ~~ !~~ ~~* !~~* & | # << >> && @> <@ -> ->> #> "
    "#>> ? ?| ?& @@ @? |/ ||/ @ #- -|- &< &> <-> ^@";

using Natures = std::vector<std::pair<std::string_view, FunctionNature>>;

const Natures& natures() {
  static const Natures sorted = [] {
    Natures made;
    for (const Entry& entry : kNatures) {
      each_word(entry.names, [&](std::string_view name) { made.emplace_back(name, entry.nature); });
    }
    std::ranges::sort(made);
    return made;
  }();
  return sorted;
}

}  // namespace

std::optional<FunctionNature> nature_of(std::string_view name) {
  if (name.starts_with("pg_stat_get_")) return FunctionNature::Sided;
  const Natures& known = natures();
  const auto found = std::ranges::lower_bound(known, name, {}, &Natures::value_type::first);
  if (found == known.end() || found->first != name) return std::nullopt;
  return found->second;
}

bool hangs_on_order(std::string_view name) {
  static const std::vector<std::string_view> sorted = [] {
    std::vector<std::string_view> made;
    each_word(kOrdered, [&](std::string_view word) { made.push_back(word); });
    std::ranges::sort(made);
    return made;
  }();
  return std::ranges::binary_search(sorted, name);
}

bool is_system_schema(std::string_view schema) {
  return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast";
}

void add_built_in(SqlCatalog& catalog) {
  constexpr const char* kSchema = "pg_catalog";
  for (const auto& [name, nature] : natures()) {
    catalog.add_function(kSchema, name, {Volatility::Volatile, Author::System, Sets::Nothing});
  }
  each_word(kPlain, [&](std::string_view name) {
    catalog.add_function(kSchema, name, {Volatility::Stable, Author::System, Sets::Nothing});
  });
  each_word(kOperators, [&](std::string_view name) {
    catalog.add_operation(kSchema, name, {Volatility::Immutable, Author::System, Sets::Nothing});
  });
}

}  // namespace crossfade::postgres

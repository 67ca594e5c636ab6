// The forms of replies: what each message is owed, and what may come next of it.
#include "protocols/postgres/owed.h"

namespace crossfade::postgres {

const std::array<OwedReplies::Form, 256> OwedReplies::kForms = [] {
  std::array<Form, 256> forms{};
  for (std::size_t type = 0; type < forms.size(); ++type) {
    forms[type].type = static_cast<char>(type);
  }
  const auto owe = [&forms](char type, Owing owing, std::array<char, 2> only_replies = {}) {
    forms[static_cast<unsigned char>(type)] = {owing, type, only_replies};
  };
  owe(from_client::kQuery, Owing::Query);
  owe(from_client::kFunctionCall, Owing::FunctionCall);
  owe(from_client::kParse, Owing::Parse, {from_server::kParseComplete});
  owe(from_client::kBind, Owing::Bind, {from_server::kBindComplete});
  owe(from_client::kDescribe, Owing::DescribePortal,
      {from_server::kRowDescription, from_server::kNoData});
  owe(from_client::kExecute, Owing::Execute,
      {from_server::kCommandComplete, from_server::kPortalSuspended});
  owe(from_client::kClose, Owing::Close, {from_server::kCloseComplete});
  owe(from_client::kSync, Owing::Sync);
  owe(from_client::kCopyDone, Owing::CopyEnd);
  owe(from_client::kCopyFail, Owing::CopyEnd);
  return forms;
}();

OwedReplies::Form OwedReplies::form_of_flush(const ClientMessage& flush) {
  return {flush.size == kHeaderSize ? Owing::Nothing : Owing::OnlyError, flush.type};
}

OwedReplies::Form OwedReplies::form_of_describe(const ClientMessage& describe) {
  const bool statement = describe.subject == kStatement;
  return {statement ? Owing::DescribeStatement : Owing::OnlyError, describe.type};
}

bool OwedReplies::is_extended(Owing owing) {
  switch (owing) {
    case Owing::Parse:
    case Owing::Bind:
    case Owing::DescribeStatement:
    case Owing::DescribePortal:
    case Owing::Execute:
    case Owing::Close:
    case Owing::OnlyError:
      return true;
    case Owing::Nothing:
    case Owing::StartUp:
    case Owing::Query:
    case Owing::FunctionCall:
    case Owing::Sync:
    case Owing::CopyEnd:
      return false;
  }
  return false;
}

OwedReplies::Step OwedReplies::step(Active& active, char type) {
  const auto ends_if = [](bool right) { return right ? Step::Ends : Step::Wrong; };
  const bool row_form = type == from_server::kRowDescription || type == from_server::kNoData;
  switch (active.message.form.owing) {
    case Owing::Parse:
      return ends_if(type == from_server::kParseComplete);
    case Owing::Bind:
      return ends_if(type == from_server::kBindComplete);
    case Owing::Close:
      return ends_if(type == from_server::kCloseComplete);
    case Owing::DescribePortal:
      return ends_if(row_form);
    case Owing::DescribeStatement:
      if (active.stage != Stage::Waiting) return ends_if(row_form);
      active.stage = Stage::Running;
      return type == from_server::kParameterDescription ? Step::Goes : Step::Wrong;
    case Owing::FunctionCall:
      if (active.stage != Stage::Waiting) return Step::Wrong;
      active.stage = Stage::Running;
      return type == from_server::kFunctionCallResponse ? Step::Goes : Step::Wrong;
    case Owing::StartUp:
      active.stage = Stage::Running;
      return type == from_server::kAuthentication || type == from_server::kBackendKeyData ||
                     type == from_server::kNegotiateProtocolVersion
                 ? Step::Goes
                 : Step::Wrong;
    case Owing::Query:
    case Owing::Execute:
      return step_result(active, type);
    case Owing::Nothing:
    case Owing::Sync:
    case Owing::CopyEnd:
    case Owing::OnlyError:
      return Step::Wrong;
  }
  return Step::Wrong;
}

// Query and Execute: rows, copied data, and what completes them; a Query any number of these.
OwedReplies::Step OwedReplies::step_result(Active& active, char type) {
  const bool query = active.message.form.owing == Owing::Query;
  const Stage stage = active.stage;
  const auto go = [&active](Stage next) {
    active.stage = next;
    return Step::Goes;
  };
  if (stage == Stage::Failed) return Step::Wrong;
  if (type == from_server::kCommandComplete) {  // after a "\." of COPY IN even before its end
    if (stage == Stage::CopyOut) return Step::Wrong;
    if (!query) return Step::Ends;
    active.eaten = 0;
    return go(Stage::Running);
  }
  if (stage == Stage::CopyOut || stage == Stage::CopyBoth) {
    if (type == from_server::kCopyData) return Step::Goes;
    if (type != from_server::kCopyDone) return Step::Wrong;
    return go(stage == Stage::CopyOut ? Stage::Running : Stage::CopyBothOver);
  }
  if (stage == Stage::CopyBothOver && type == from_server::kCopyData) return Step::Goes;
  if (stage == Stage::CopyIn || stage == Stage::CopyInOver) return Step::Wrong;
  switch (type) {
    case from_server::kRowDescription:
      return query ? go(Stage::Running) : Step::Wrong;
    case from_server::kDataRow:
      return go(Stage::Running);
    case from_server::kEmptyQueryResponse:
      return query ? go(Stage::Running) : Step::Ends;
    case from_server::kPortalSuspended:
      return query ? Step::Wrong : Step::Ends;
    case from_server::kCopyInResponse:
      return go(Stage::CopyIn);
    case from_server::kCopyOutResponse:
      return go(Stage::CopyOut);
    case from_server::kCopyBothResponse:
      return query ? go(Stage::CopyBoth) : Step::Wrong;
    default:
      return Step::Wrong;
  }
}

}  // namespace crossfade::postgres

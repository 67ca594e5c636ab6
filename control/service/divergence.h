// What a migration's sides are known or suspected to differ in, as the API shows it.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/ledger/ledger.h"
#include "control/service/call.h"
#include "control/service/keeper.h"
#include "control/service/mismatches.h"
#include "control/service/verifications.h"

namespace crossfade {

class Divergence {
 public:
  Divergence(const Keeper& keeper, const Ledger& ledger, const Verifications& verifications,
             Mismatches mismatches = {})
      : keeper_(keeper),
        ledger_(ledger),
        verifications_(verifications),
        mismatches_(std::move(mismatches)) {}

  // GET …/divergence: a page of the ledger's entries, oldest first. Whatever comes and goes between
  // two pages, what stays is in exactly one of them.
  Answer get(const std::string& reference, const Call& call) const;

 private:
  const Keeper& keeper_;
  const Ledger& ledger_;
  const Verifications& verifications_;
  const Mismatches mismatches_;
};

// {"entries", "needs_full_verification"}, as a migration shows it that ever wrote to both sides.
Json render(const Ledger::Summary& summary);

}  // namespace crossfade

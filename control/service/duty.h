// What one sidecar of a fleet does for all: whoever holds the lease of its name.
//
// A lease spares others the work, and spares the journal their refusals. What makes it right that
// something is done once is the revision that a change is made from: two holders that both believe
// themselves to be the one can not both change it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "control/store/store.h"

namespace crossfade {

class Duty {
 public:
  // Nothing is taken yet.
  Duty(Store& store, std::string name, std::chrono::milliseconds ttl)
      : store_(store), name_(std::move(name)), ttl_(ttl) {}

  // It is ours from now on for the lease's time: takes it where nobody has it, and renews it.
  bool ours();

 private:
  bool take();

  Store& store_;
  const std::string name_;
  const std::chrono::milliseconds ttl_;
  std::unique_ptr<Lease> lease_;  // null: not ours
};

}  // namespace crossfade

// Taking, keeping and losing a lease.
#include "control/service/duty.h"

#include <spdlog/spdlog.h>

namespace crossfade {

bool Duty::ours() {
  if (lease_ == nullptr) return take();
  const Status renewed = lease_->renew();
  if (renewed) return true;
  // Nobody can be asked, but until it has expired nobody else has it.
  if (renewed.error().code != Errc::Conflict && lease_->held()) return true;
  spdlog::warn("control: {}", renewed.error().message());
  lease_.reset();
  return take();
}

bool Duty::take() {
  auto taken = store_.lease(name_, ttl_);
  if (!taken) {
    spdlog::debug("control: {}", taken.error().message());
    return false;
  }
  lease_ = std::move(*taken);
  return true;
}

}  // namespace crossfade

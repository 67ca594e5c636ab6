// Who has which lease until when.
#include "control/store/leases.h"

namespace crossfade {

class Leases::Taken final : public Lease {
 public:
  Taken(Leases& all, std::string name, std::uint64_t number, std::chrono::milliseconds ttl)
      : all_(all), name_(std::move(name)), number_(number), ttl_(ttl) {}
  ~Taken() override {
    const std::lock_guard held(all_.mutex_);
    const auto found = all_.held_.find(name_);
    if (found != all_.held_.end() && found->second.number == number_) all_.held_.erase(found);
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  bool held() const override {
    const std::lock_guard held(all_.mutex_);
    return all_.holds(name_, number_);
  }

  Status renew() override {
    const std::lock_guard held(all_.mutex_);
    if (!all_.holds(name_, number_)) {
      return Error{Errc::Conflict, "renew lease " + name_, "it has expired"};
    }
    all_.held_.at(name_).until_ms = all_.clock_() + ttl_.count();
    return success();
  }

 private:
  Leases& all_;
  const std::string name_;
  const std::uint64_t number_;
  const std::chrono::milliseconds ttl_;
};

bool Leases::holds(const std::string& name, std::uint64_t number) const {
  const auto found = held_.find(name);
  return found != held_.end() && found->second.number == number &&
         clock_() < found->second.until_ms;
}

Result<std::unique_ptr<Lease>> Leases::take(const std::string& name,
                                            std::chrono::milliseconds ttl) {
  const std::lock_guard held(mutex_);
  const auto found = held_.find(name);
  if (found != held_.end() && clock_() < found->second.until_ms) {
    return Error{
        Errc::Conflict, "take lease " + name,
        "it is held for another " + std::to_string(found->second.until_ms - clock_()) + " ms"};
  }
  held_[name] = {++last_, clock_() + ttl.count()};
  return std::unique_ptr<Lease>(std::make_unique<Taken>(*this, name, last_, ttl));
}

}  // namespace crossfade

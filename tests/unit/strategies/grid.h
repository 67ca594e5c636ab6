// The shares and buckets at which a plan could change its mind, and requests that lie there.
#pragma once

#include <array>
#include <optional>
#include <ostream>
#include <vector>

#include "strategies/migration.h"

namespace crossfade {

inline std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  const char* const second = plan.second == Second::Nothing ? ""
                             : plan.second == Second::Copy  ? " + copy"
                                                            : " + write";
  return out << name_of(plan.answer) << second << (plan.either ? " either" : "")
             << (plan.fallback ? " fallback" : "") << (plan.split ? " split" : "");
}

namespace grid {

inline constexpr std::array<std::uint32_t, 7> kShares = {0,       1,          250'000, 500'000,
                                                         750'000, kWhole - 1, kWhole};
inline constexpr std::array<std::uint32_t, 10> kBuckets = {
    0, 1, 249'999, 250'000, 499'999, 500'000, 749'999, 750'000, kWhole - 2, kWhole - 1};
inline constexpr std::array<Kind, kKinds> kAllKinds = {Kind::Read, Kind::Write, Kind::Publish,
                                                       Kind::Other};
inline constexpr std::array<Policy, 3> kPolicies = {Policy::OldAuthoritative,
                                                    Policy::NewAuthoritative, Policy::BestEffort};
inline constexpr std::array<std::optional<Side>, 3> kPins = {std::nullopt, Side::Old, Side::New};

inline Facts keyless(Kind kind) { return Facts{.kind = kind, .pinned = std::nullopt}; }
inline Facts on_key(Kind kind, std::uint32_t bucket) {
  return Facts{.kind = kind,
               .keyed = true,
               .bucket_low = bucket,
               .bucket_high = bucket,
               .pinned = std::nullopt};
}
inline Facts on_keys(Kind kind, std::uint32_t low, std::uint32_t high) {
  return Facts{
      .kind = kind, .keyed = true, .bucket_low = low, .bucket_high = high, .pinned = std::nullopt};
}
inline Facts pinned(Facts facts, std::optional<Side> side) {
  facts.pinned = side;
  return facts;
}
inline Facts staying(Facts facts) {
  facts.stays = true;
  return facts;
}
inline Facts sided(Facts facts) {
  facts.sided = true;
  return facts;
}

// Every sort of request: all kinds, without keys, with one and with two, sided or not, pinned or
// not.
inline std::vector<Facts> requests() {
  std::vector<Facts> all;
  for (const Kind kind : kAllKinds) {
    std::vector<Facts> places{keyless(kind)};
    for (const std::uint32_t low : kBuckets) {
      for (const std::uint32_t high : kBuckets) {
        if (low <= high) places.push_back(on_keys(kind, low, high));
      }
    }
    for (const Facts& place : places) {
      for (const auto pin : kPins) {
        all.push_back(pinned(place, pin));
        all.push_back(pinned(sided(place), pin));
      }
    }
  }
  return all;
}

inline Canary dual_write(std::uint32_t read_share, Policy policy) {
  return {read_share, WriteMode{WriteMode::Mode::DualWrite, policy, 0}};
}
inline Canary cutover(std::uint32_t read_share, std::uint32_t write_share) {
  return {read_share, WriteMode{WriteMode::Mode::Cutover, Policy::OldAuthoritative, write_share}};
}

// Every sort of canary.
inline std::vector<Canary> canaries() {
  std::vector<Canary> all;
  for (const std::uint32_t read_share : kShares) {
    all.push_back({read_share, std::nullopt});
    for (const Policy policy : kPolicies) all.push_back(dual_write(read_share, policy));
    for (const std::uint32_t write_share : kShares) all.push_back(cutover(read_share, write_share));
  }
  return all;
}

}  // namespace grid
}  // namespace crossfade

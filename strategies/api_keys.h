// Which keys of an endpoint move with their api: where the writes of an api go to new alone, its
// keys go with them, whatever a request does with them and whoever it belongs to.
//
// An api's keys are those that its templates name: of "SET user:{{id}} {{value}}" all that fit
// "user:{{id}}". The first template that names a key so has it, in the order in which they are
// asked: those that do not move stand here because they come before others that do. What new serves
// by other templates is written anew, and nothing else can be done there with those keys.
// Immutable; shared by all loops. Redis.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/facts.h"
#include "protocols/redis/key_patterns.h"
#include "protocols/redis/rendering.h"
#include "protocols/redis/template_set.h"
#include "strategies/api_set.h"

namespace crossfade {

class ApiKeys {
 public:
  //   entries  of those that move it is known which of their arguments are keys
  //   cost     some microseconds for each
  explicit ApiKeys(std::vector<ApiSet::Entry> entries);

  // Where a key lies on the line that is split: its own bucket, or kBeyond if it does not move.
  //   cost  no allocation
  std::uint32_t bucket(std::string_view key) const { return place_of(key).bucket; }
  struct Place {
    std::uint32_t bucket;
    std::optional<std::uint32_t> api;  // whose it is, by names()
  };
  Place place_of(std::string_view key) const;

  // True when some requests are written anew.
  bool renders() const { return !renderings_.empty(); }
  enum class Form : std::uint8_t {
    AsItIs,
    Anew,    // written to `out`
    Foreign  // it names a key that new has in another form, and is none of the templates
  };
  // True when some key of a request is one that new has in another form. Of one of which not all
  // has arrived its keys have.
  bool in_other_form(const redis::RequestFacts& facts, const redis::RequestCutter& cutter,
                     std::string_view bytes) const;
  // The form in which a whole request goes to new.
  //   values  scratch
  //   cost    no allocation once the scratch has grown
  Form render(const redis::RequestFacts& facts, const redis::RequestCutter& cutter,
              std::string_view bytes, std::vector<std::string_view>& values,
              std::string& out) const;

  const std::vector<ApiSet::Entry>& entries() const { return entries_; }
  const ApiNames& names() const { return names_; }

 private:
  struct Patterns {
    std::vector<redis::Template::Argument> of_keys;
    std::vector<std::uint32_t> entries;  // by the same numbers
  };
  explicit ApiKeys(std::vector<ApiSet::Entry> entries, Patterns patterns);
  static Patterns patterns_of(const std::vector<ApiSet::Entry>& entries);

  std::vector<ApiSet::Entry> entries_;
  ApiNames names_;
  redis::KeyPatterns patterns_;
  std::vector<std::uint32_t> entry_of_;  // by the numbers of patterns_
  // By the numbers of entries_, where any are written anew; else empty.
  std::vector<std::optional<redis::Rendering>> renderings_;
  redis::TemplateSet templates_;
};

}  // namespace crossfade

// Counts of two looks become rates and shares.
#include "client/watch_view.h"

#include <cmath>
#include <cstdio>

#include "client/text_table.h"

namespace crossfade {

namespace {

double sum_of(const Json* object) {
  double sum = 0;
  if (object == nullptr || object->members() == nullptr) return sum;
  for (const auto& [name, member] : *object->members()) sum += member.number();
  return sum;
}

double number_at(const Json& value, std::string_view path) {
  const Json* found = at_path(value, path);
  return found == nullptr ? 0 : found->number();
}

// The interlay of that uuid in the data of a status.
const Json* interlay_in(const Json& status, const Json* uuid) {
  const Json* interlays = status.find("interlays");
  if (interlays == nullptr || interlays->elements() == nullptr || uuid == nullptr) return nullptr;
  for (const Json& interlay : *interlays->elements()) {
    const Json* its = interlay.find("uuid");
    if (its != nullptr && *its == *uuid) return &interlay;
  }
  return nullptr;
}

std::string whole(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", number);
  return text;
}

std::string percent(double part, double all) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", all > 0 ? part / all * 100 : 0.0);
  return text;
}

// ", copies 120 of 130, 10 dropped, 1 mismatched"; nothing where none was eligible.
std::string legs(const Json& interlay, const char* member, const char* title) {
  const Json* counts = interlay.find(member);
  if (counts == nullptr || number_at(*counts, "eligible") <= 0) return "";
  std::string text = std::string("; ") + title + " " + plain(counts->find("answered")) + " of " +
                     plain(counts->find("eligible"));
  for (const char* what : {"dropped", "errors", "mismatched"}) {
    if (number_at(*counts, what) > 0) text += ", " + plain(counts->find(what)) + " " + what;
  }
  return text;
}

bool true_at(const Json& value, std::string_view path) {
  const Json* found = at_path(value, path);
  return found != nullptr && found->boolean() != nullptr && *found->boolean();
}

}  // namespace

std::optional<Ending> ending_of(std::string_view status) {
  if (status == "completed") return Ending::Good;
  if (status == "failed" || status == "rolled_back") return Ending::Bad;
  return std::nullopt;
}

std::string WatchView::interlay_line(const Json& interlay, double elapsed_s) {
  const Json* before = interlay_in(before_, interlay.find("uuid"));
  const auto since = [&](const char* path) {
    return sum_of(at_path(interlay, path)) -
           (before == nullptr ? 0 : sum_of(at_path(*before, path)));
  };
  const double old_side = since("requests.old");
  const double new_side = since("requests.new");
  std::string line = "  " + plain(interlay.find("id")) + ": ";
  if (elapsed_s > 0) {
    line += "old " + whole(old_side / elapsed_s) + "/s, new " + whole(new_side / elapsed_s) +
            "/s (" + percent(new_side, old_side + new_side) + " new)";
  } else {
    line += "old " + whole(old_side) + ", new " + whole(new_side) + " requests so far";
  }
  line += legs(interlay, "copies", "copies") + legs(interlay, "second_writes", "second writes");
  if (number_at(interlay, "new_only_writes") > 0) {
    line += "; " + plain(interlay.find("new_only_writes")) + " writes on new only";
  }
  const double staying = sum_of(interlay.find("sessions_staying"));
  if (staying > 0) line += "; " + whole(staying) + " sessions stay";
  if (true_at(interlay, "down.old")) line += "; OLD IS DOWN";
  if (true_at(interlay, "down.new")) line += "; NEW IS DOWN";
  return line + "\n";
}

std::string WatchView::lines_of(const Json& status, double now_s) {
  const double elapsed_s = looked_s_ ? now_s - *looked_s_ : 0;
  std::string text = plain(status.find("id")) + ": " + plain(status.find("status")) + ", " +
                     plain(at_path(status, "strategy.type")) + ", epoch " +
                     plain(status.find("epoch"));
  if (const Json* share = at_path(status, "strategy.read_percentage")) {
    text += ", " + percent(share->number(), 1) + " of reads to new";
  }
  if (const Json* share = at_path(status, "strategy.rollout_percentage")) {
    text += ", " + percent(share->number(), 1) + " of users to new";
  }
  if (const Json* verification = status.find("verification");
      verification != nullptr && verification->members() != nullptr) {
    text += "; verification " + plain(verification->find("state"));
    text += ", " + plain(verification->find("keys_looked_at")) + " of " +
            plain(verification->find("keys_total")) + " keys, " +
            plain(verification->find("keys_differing")) + " differ";
  }
  text += "\n";
  if (const Json* interlays = status.find("interlays");
      interlays != nullptr && interlays->elements() != nullptr) {
    for (const Json& interlay : *interlays->elements()) text += interlay_line(interlay, elapsed_s);
  }
  looked_s_ = now_s;
  before_ = status;
  return text;
}

}  // namespace crossfade

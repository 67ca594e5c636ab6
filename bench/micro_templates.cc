// What it costs to know which template a request matches, with 10 templates and with 1,000.
//
// Prints nanoseconds of CPU time per request, best and median of several rounds: of matching alone,
// and of all that is found out of a request's bytes (cut, facts, template); and what 1,000 cost
// more than 10, as a part of the cheapest request there is. With --check it fails where that is
// more than 5 %. Requests are spread over all templates of their set. One thread, no I/O.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocols/postgres/sql_classify.h"
#include "protocols/postgres/template_set.h"
#include "protocols/redis/facts.h"
#include "protocols/redis/template_set.h"
#include "strategies/sql_api_set.h"
#include "strategies/sql_user_fields.h"

namespace crossfade {
namespace {

constexpr std::size_t kRounds = 31;
constexpr std::size_t kRequests = 64;  // different ones, over and over
constexpr std::size_t kOperations = 100'000;
constexpr double kMost = 0.05;
// CPU time of the sidecar for one request of a pipeline, passed through: docs/performance.md.
constexpr double kRequest_ns = 930;

struct Cost {
  std::array<double, kRounds> rounds;
  double best() const { return *std::ranges::min_element(rounds); }
};

// Both in turn, so that what else the machine does meets both.
template <class One, class Other>
std::pair<Cost, Cost> measure(One&& one, Other&& other) {
  const auto time = [](auto& operation) {
    const std::clock_t begin = std::clock();
    for (std::size_t i = 0; i < kOperations; ++i) operation(i % kRequests);
    return static_cast<double>(std::clock() - begin) * 1e9 / CLOCKS_PER_SEC / kOperations;
  };
  std::pair<Cost, Cost> costs;
  for (std::size_t round = 0; round < kRounds; ++round) {
    costs.first.rounds[round] = time(one);
    costs.second.rounds[round] = time(other);
  }
  return costs;
}

template <class One, class Other>
double compare(const char* name, One&& few, Other&& many) {
  auto [of_few, of_many] = measure(few, many);
  std::ranges::sort(of_few.rounds);
  std::ranges::sort(of_many.rounds);
  const double more = (of_many.best() - of_few.best()) / (kRequest_ns + of_few.best());
  std::printf("%-26s %7.1f ns (10) %7.1f ns (1,000), medians %7.1f %7.1f: %+.1f %% of a request\n",
              name, of_few.best(), of_many.best(), of_few.rounds[kRounds / 2],
              of_many.rounds[kRounds / 2], more * 100);
  return more;
}

template <class Form>
Form must(Result<Form> form) {
  if (!form) std::abort();
  return std::move(*form);
}

std::vector<redis::Template> redis_templates(int count) {
  std::vector<redis::Template> forms;
  for (int i = 0; i < count; ++i) {
    const std::string name = "service" + std::to_string(i) + ":user:";
    forms.push_back(must(redis::read_template(i % 2 == 0 ? "GET " + name + "{{id}}"
                                                         : "SET " + name + "{{id}} {{value}}")));
  }
  return forms;
}

std::vector<SqlApiSet::Entry> sql_entries(int count) {
  std::vector<SqlApiSet::Entry> entries;
  for (int i = 0; i < count; ++i) {
    entries.push_back(
        {"SELECT name, mail FROM users_of_" + std::to_string(i) + " WHERE id = {{id}}", true});
  }
  return entries;
}

std::vector<postgres::Template> sql_templates(int count) {
  std::vector<postgres::Template> forms;
  for (const SqlApiSet::Entry& entry : sql_entries(count)) {
    forms.push_back(must(postgres::read_template(entry.query)));
  }
  return forms;
}

std::vector<std::string> sql_queries(int count) {
  std::vector<std::string> queries;
  for (SqlApiSet::Entry& entry : sql_entries(count)) queries.push_back(std::move(entry.query));
  return queries;
}

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

// Which of `count` templates a request is about.
std::string about(std::size_t i, std::size_t count) {
  return std::to_string(i * 31 % count / 2 * 2 + i % 2);
}

// Half of them match, half match none.
bool matches(std::size_t i) { return i % 4 < 2; }

std::vector<std::string> redis_requests(std::size_t count) {
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < kRequests; ++i) {
    const std::string key =
        (matches(i) ? "service" + about(i, count) : "other") + ":user:" + std::to_string(i * 7919);
    requests.push_back(i % 2 == 0 ? "*2\r\n" + bulk("GET") + bulk(key)
                                  : "*3\r\n" + bulk("SET") + bulk(key) + bulk("some value"));
  }
  return requests;
}

std::vector<std::string> statements(std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kRequests; ++i) {
    texts.push_back("SELECT name, mail FROM " +
                    (matches(i) ? "users_of_" + about(i, count) : std::string("others")) +
                    " WHERE id = " + std::to_string(i * 7919));
  }
  return texts;
}

// A set with requests for it.
struct Redis {
  explicit Redis(int count)
      : set(redis_templates(count)),
        requests(redis_requests(static_cast<std::size_t>(count))),
        cut(kRequests) {
    for (std::size_t i = 0; i < kRequests; ++i) (void)cut[i].advance(requests[i]);
  }
  const redis::TemplateSet set;
  const std::vector<std::string> requests;
  std::vector<redis::RequestCutter> cut;
};

double compare_redis() {
  using State = redis::TemplateSet::Match::State;
  const Redis few(10);
  const Redis many(1000);
  const auto only = [](const Redis& redis) {
    return [&redis](std::size_t i) {
      const auto found = redis.set.match(redis.cut[i], redis.requests[i]);
      if ((found.state == State::Found) != matches(i)) std::abort();
    };
  };
  (void)compare("redis: which template", only(few), only(many));
  const auto commands = redis::CommandTable::built_in();
  redis::RequestCutter cutter;
  const auto whole = [&](const Redis& redis) {
    return [&](std::size_t i) {
      (void)cutter.advance(redis.requests[i]);
      const auto facts = redis::facts_of(*commands, cutter, redis.requests[i], true);
      const auto found = redis.set.match(cutter, redis.requests[i]);
      if (!facts || (found.state == State::Found) != matches(i)) std::abort();
      cutter.reset();
    };
  };
  return compare("redis: all of a request", whole(few), whole(many));
}

struct Sql {
  explicit Sql(int count)
      : set(sql_templates(count)),
        apis(sql_entries(count)),
        users("id", sql_queries(count)),
        texts(statements(static_cast<std::size_t>(count))) {}
  const postgres::TemplateSet set;
  const SqlApiSet apis;
  const SqlUserFields users;
  const std::vector<std::string> texts;
};

double compare_sql() {
  const Sql few(10);
  const Sql many(1000);
  postgres::NormalSql normal;
  const auto only = [&](const Sql& sql) {
    return [&](std::size_t i) {
      if (!postgres::normalise(sql.texts[i], normal)) std::abort();
      if (sql.set.match(normal).has_value() != matches(i)) std::abort();
    };
  };
  (void)compare("sql: which template", only(few), only(many));
  postgres::SqlClassifier classifier(postgres::SqlCatalog::built_in(), {}, postgres::Forms::Read);
  SqlApiSet::Scratch scratch;
  postgres::SaidTexts said;
  const auto whole = [&](const Sql& sql) {
    return [&](std::size_t i) {
      const auto& facts = classifier.facts_of(sql.texts[i], postgres::SqlReading::Standard);
      said.assign(1, {facts.get(), sql.texts[i]});
      if (sql.apis.moves(said, scratch) != matches(i)) std::abort();
    };
  };
  const postgres::ToldTypes told;
  SqlUserFields::Scratch words;
  postgres::Said texts;
  const auto user = [&](const Sql& sql) {
    return [&](std::size_t i) {
      const auto& facts = classifier.facts_of(sql.texts[i], postgres::SqlReading::Standard);
      texts.texts.assign(1, {facts.get(), sql.texts[i]});
      if (sql.users.user_of(texts, told, 0, words).has_value() != matches(i)) std::abort();
    };
  };
  (void)compare("sql: whose a statement is", user(few), user(many));
  return compare("sql: all of a statement", whole(few), whole(many));
}

}  // namespace
}  // namespace crossfade

int main(int argc, char** argv) {
  const double redis = crossfade::compare_redis();
  const double sql = crossfade::compare_sql();
  const bool checks = argc > 1 && std::strcmp(argv[1], "--check") == 0;
  return checks && std::max(redis, sql) > crossfade::kMost ? 1 : 0;
}

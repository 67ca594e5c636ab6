// The log: lines on standard error, for people or for programs.
//
//   text   2026-11-26T12:00:00.000+00:00 info migration m: running by ops: started
//   json   {"time":"2026-11-26T12:00:00.000Z","level":"info","message":"migration m: running by …"}
//
// One line for each change of state, in either form. What clients send, passwords and tokens are in
// none: whoever logs sees to that.
#pragma once

#include <string>
#include <string_view>

namespace crossfade {

bool is_log_level(std::string_view text);   // trace | debug | info | warn | error
bool is_log_format(std::string_view text);  // text | json

// Sends the log of the process to standard error. Once, before the first line.
void begin_log(const std::string& level, const std::string& format);

// Waits until the lines until now are out, at most a second: they are written by a thread of their
// own, and lost, and counted, while nobody reads the last megabyte of them.
void flush_log();

// Gives the log another level and form. Any thread, at any time.
void set_log(const std::string& level, const std::string& format);

}  // namespace crossfade

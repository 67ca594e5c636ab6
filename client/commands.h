// The command line client: `crossfade RESOURCE VERB …` calls the control API of a running sidecar.
//
// Exit codes, for scripts:
//   0  done; a watched migration has completed
//   1  the sidecar refused (HTTP 4xx): nothing was changed, the message says why
//   2  bad command line or input: nothing was sent
//   3  the sidecar was not reached, or could not (HTTP 5xx), or its answer cannot be written out
//   4  it was done, and the answer is no: `test` is not valid; a watched migration has failed or
//   was
//      rolled back
#pragma once

#include <functional>
#include <memory>

namespace CLI {
class App;
}

namespace crossfade {

class ClientCommands {
 public:
  // Adds its commands to the program's. `app` must outlive it.
  explicit ClientCommands(CLI::App& app);
  ~ClientCommands();

  // True when the command line that was parsed names one of its commands.
  bool asked() const;
  // Does what was asked and returns the exit code. Blocks; `watch` until the migration has ended.
  int run();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// The exit code of a program that ends with `code` when all that it has said was written, of
// stdio's and of iostreams' buffers while these are synchronized.
int written(int code);

}  // namespace crossfade

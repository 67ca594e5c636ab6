// The connections being served: bounded in number, each bounded in time while it waits for its
// request.
//
// Knows nothing of HTTP: a connection is a descriptor that is waiting or not.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>

namespace crossfade {

class Connections {
 public:
  // One connection, from accept to close; on the stack of its thread.
  class Guest {
   public:
    Guest(Connections& connections, int descriptor);
    ~Guest();
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    // Its request is here: from now on it is worked for, and not turned away.
    void arrived();

    // True when `wanted` others want the thread of one that waits, and this is one of those who
    // have waited longest.
    bool gives_way(std::size_t wanted) const;

   private:
    Connections& connections_;
    std::list<int>::iterator place_;
    bool waiting_ = true;
  };

  // From now on nobody waits, until open(): whoever does, and whoever comes, is turned away.
  void close();
  void open();

 private:
  std::mutex mutex_;
  std::list<int> waiting_;  // descriptors, oldest first
  std::list<int> working_;
  bool closed_ = false;
};

}  // namespace crossfade

// Who reads what this program prints. With him gone, nobody waits for its work any more.
#pragma once

#include <poll.h>

namespace edgeprof {

constexpr int kNoReader = -1;

// The descriptor, where it is a pipe or a socket: its reader can go. Else kNoReader.
int reader_of(int descriptor);

// For poll(): an entry that becomes ready when the reader goes; never for kNoReader.
inline pollfd reader_entry(int reader) { return {reader, 0, 0}; }
inline bool is_gone(const pollfd& entry) { return (entry.revents & (POLLERR | POLLHUP)) != 0; }

}  // namespace edgeprof

// A lock that dies with its holder: flock(2) on a file whose first line says who holds it.
//
// Owns: taking, looking, waiting, and the line. What the line means is worker.cpp's.
#pragma once

#include <cstdint>
#include <string>

namespace edgeprof {

// The descriptor stays open for the life of the process and its children, unless close_on_exec().
class LockFile {
  public:
    // Makes the file where it is missing. Throws Error(kOutputError).
    explicit LockFile(const std::string& path);
    LockFile(const LockFile&) = delete;
    LockFile& operator=(const LockFile&) = delete;
    ~LockFile();

    // Takes the lock; not at the first refusal gives up, for who only looks holds it for a moment.
    bool try_exclusive() const;

    bool is_free() const;

    void wait_until_free() const;

    void close_on_exec() const;

    // Writes the line (with its end) over the last holder's: there is no moment without one. Where
    // the file is another user's it stays as it is; the lock holds all the same.
    void write_holder(const std::string& line) const;

    // The line; an empty JSON object where nobody has written yet.
    std::string holder() const;

    // Whether a process of this account has the file open: the line may be of an earlier holder,
    // whose number another process has by now.
    bool is_open_in(std::int64_t process_id) const;

  private:
    std::string path_;
    int descriptor_;
};

}  // namespace edgeprof

#include "board/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace edgeprof {
namespace {

constexpr int kAttempts = 5;
constexpr useconds_t kPause_us = 20'000;

[[noreturn]] void fail(const std::string& path) {
    throw Error(ErrorKind::kOutputError, "lock " + path + ": " + std::strerror(errno));
}

}  // namespace

LockFile::LockFile(const std::string& path) : path_(path) {
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0666);
    // In a sticky folder the kernel refuses O_CREAT on another user's file
    // (fs.protected_regular); flock(2) is content with a descriptor to read.
    if (descriptor_ < 0) descriptor_ = open(path.c_str(), O_RDWR | O_NOFOLLOW);
    if (descriptor_ < 0) descriptor_ = open(path.c_str(), O_RDONLY | O_NOFOLLOW);
    if (descriptor_ < 0) fail(path);
    // The next owner may be another user; only the file's own can say so.
    static_cast<void>(fchmod(descriptor_, 0666) == 0);
}

LockFile::~LockFile() { close(descriptor_); }

bool LockFile::try_exclusive() const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return true;
        usleep(kPause_us);
    }
    return false;
}

bool LockFile::is_free() const { return flock(descriptor_, LOCK_SH | LOCK_NB) == 0; }

void LockFile::wait_until_free() const {
    while (flock(descriptor_, LOCK_SH) != 0) {
        if (errno != EINTR) fail(path_);
    }
}

void LockFile::close_on_exec() const { fcntl(descriptor_, F_SETFD, FD_CLOEXEC); }

void LockFile::write_holder(const std::string& line) const {
    const ssize_t n = pwrite(descriptor_, line.data(), line.size(), 0);
    if (n > 0) static_cast<void>(ftruncate(descriptor_, n) == 0);
}

std::string LockFile::holder() const {
    std::ifstream stream(path_, std::ios::binary);
    std::string line;
    std::getline(stream, line);
    return (line.empty() ? "{}" : line) + "\n";
}

bool LockFile::is_open_in(std::int64_t process_id) const {
    struct stat own = {};
    if (fstat(descriptor_, &own) != 0) return false;
    const std::string folder = "/proc/" + std::to_string(process_id) + "/fd";
    std::error_code unreadable;
    for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
        struct stat other = {};
        if (stat(entry.path().c_str(), &other) == 0 && other.st_dev == own.st_dev &&
            other.st_ino == own.st_ino) {
            return true;
        }
    }
    return false;
}

}  // namespace edgeprof

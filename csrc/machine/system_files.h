// Small files of /proc, /sys and /etc, read below a root folder.
//
// A fact that is not there, or that the kernel refuses to give (EAGAIN, EINVAL, EACCES), is
// std::nullopt: never 0, never an empty text taken for a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgeprof {

// What the kernel tells of the cores, below the root.
inline const std::string kCpuFolder = "sys/devices/system/cpu/";

class SystemFiles {
  public:
    // root: "/" for the running machine, or the folder of a captured tree.
    explicit SystemFiles(std::string root);

    // `path` has no leading slash, as in "proc/loadavg".
    std::string full_path(const std::string& path) const;
    bool exists(const std::string& path) const;
    // The text without trailing white space and NULs.
    std::optional<std::string> read_text(const std::string& path) const;
    std::optional<std::int64_t> read_integer(const std::string& path) const;
    // Names in a folder that start with `prefix`; "cpu10" after "cpu9".
    std::vector<std::string> list(const std::string& path, const std::string& prefix = "") const;
    // True for the running machine: facts that only system calls give may be asked for.
    bool is_live() const { return root_ == "/"; }

  private:
    std::string root_;
};

// Reads at most `capacity` bytes without allocating; the number of bytes, or -1.
std::ptrdiff_t read_file(const char* full_path, char* buffer, std::size_t capacity) noexcept;
// A decimal or 0x-hexadecimal integer that fills the whole file; does not allocate.
std::optional<std::int64_t> read_integer_file(const char* full_path) noexcept;

std::optional<std::int64_t> parse_integer(const std::string& text, int base = 10);
// "0-3,7" or "0 1 2 3", the two forms sysfs uses. Nothing for a malformed list.
std::optional<std::vector<int>> parse_cpu_list(const std::string& text);
// Pieces between separators, without empty ones.
std::vector<std::string> split(const std::string& text, const char* separators = " \t\n");

}  // namespace edgeprof
